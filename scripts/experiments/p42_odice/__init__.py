"""Paper 42: orthogonal-gradient distribution correction."""
