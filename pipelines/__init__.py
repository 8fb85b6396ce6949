"""Floors 1 and 2: what is done. Importing it imports neither Ray nor MLflow."""
