"""Lifted tracks as files for other programs: npz, BVH, glTF, TRC, C3D, angles; needs neither Ray nor MLflow."""
