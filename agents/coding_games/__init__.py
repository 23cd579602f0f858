"""Agents for Markov coding games: couplings that hide messages in a policy, and learners that know nothing of them."""
