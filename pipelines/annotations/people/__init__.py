"""Sources of labeled people in images and videos, which 2D detectors are trained on."""
