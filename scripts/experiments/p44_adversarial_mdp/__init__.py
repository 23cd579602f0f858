"""Paper 44: refined regret for adversarial MDPs with linear action values."""
