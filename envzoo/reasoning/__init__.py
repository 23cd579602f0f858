"""Text reasoning: procedurally generated puzzles whose answers a program verifies, played in text or token by token."""
