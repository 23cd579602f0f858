"""Run `make hostile-answers`: verify that no answer to a reasoning-gym dataset executes code or takes long to score.

`corpus` and `generated` provide hostile answers, `variants` plausible ones, and `check` passes both to the scorers.
"""
