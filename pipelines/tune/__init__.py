"""Hyperparameter search: each trial is a training with changed values, run by Ray Tune."""
