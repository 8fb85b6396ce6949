"""Lifters: 2D keypoints over time in, 3D pose and root trajectory out."""
