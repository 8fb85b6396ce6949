"""Labeled and unlabeled tracks: where they come from, how they are read, chosen and laid out for training."""
