"""Lifters into MLflow's registry: exported, packed so that nothing of this repository is needed, compared, promoted."""
