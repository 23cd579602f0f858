"""Paper 33: policy regularisation with a dataset constraint."""
