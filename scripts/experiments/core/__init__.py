"""The machinery of experiments: arms, checks, intervals, stored results, reports. Papers' experiments are beside it."""
