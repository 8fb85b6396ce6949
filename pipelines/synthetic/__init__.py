"""Renders videos of synthetic people with exact 2D and 3D poses: motions, cameras, a renderer, ground truth."""
