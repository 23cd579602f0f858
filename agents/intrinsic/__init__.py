"""Intrinsic rewards with one interface; any on-policy agent takes one by name (`intrinsic="rnd"`)."""
