"""Lifted tracks in other formats: npz for NumPy, BVH for animation programs. Imports neither Ray nor MLflow."""
