"""Paper 38: Lp-Reg."""
