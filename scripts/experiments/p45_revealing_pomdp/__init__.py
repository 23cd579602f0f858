"""Paper 45: lower bounds for learning in revealing POMDPs."""
