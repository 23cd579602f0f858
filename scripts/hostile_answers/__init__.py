"""`make hostile-answers`: show that no answer to a dataset of reasoning-gym runs code or takes long.

`corpus` and `generated` write hostile answers, `variants` plausible ones, and `check` gives both to the scorers.
"""
