"""Advantages, losses and KL estimators of policy optimization for language models, as pure functions of tensors.

Shapes: B answers (rows) of at most T tokens. `mask` (B, T) float is 1 on the tokens that the model wrote, including its
end-of-sequence token, and 0 on padding and on the tokens of a tool. All logarithms are natural. Functions that only one
paper uses are in the file of that paper in `envzoo.agents.reasoning`.
"""
