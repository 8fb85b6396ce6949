"""Measures the errors of a keypoint detector on people whose joints are known."""
