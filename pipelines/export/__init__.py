"""Lifted tracks in the formats of others: npz for NumPy, BVH for animation programs. No Ray, no MLflow."""
