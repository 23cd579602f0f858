"""Gymnasium and PettingZoo wrappers, one file each."""
