"""Hyperparameter search: trainings with changed values, on Ray Tune."""
