"""Coverage environments, whose rewards are marginal gains of set functions with diminishing returns."""
