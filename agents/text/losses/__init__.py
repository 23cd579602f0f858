"""Stages of policy optimisation for language models, as pure functions of tensors over answers and tokens.

Shapes: B answers (rows) of at most T tokens. `mask` (B, T) float is 1 on the tokens that the model wrote, its
end-of-sequence token included, and 0 on padding and on what a tool wrote. All logarithms are natural.
"""
