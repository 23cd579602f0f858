"""Text reasoning: procedurally generated puzzles with verified answers, played in text or token by token."""
