"""Finds in MLflow's runs what models, tracks and poses were made from, and what was made from them."""
