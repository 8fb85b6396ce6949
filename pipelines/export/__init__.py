"""Lifted tracks as npz for NumPy, BVH for animation programs and CSV of joint angles; needs neither Ray nor MLflow."""
