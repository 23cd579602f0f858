"""Paper 51: EfficientVMamba."""
