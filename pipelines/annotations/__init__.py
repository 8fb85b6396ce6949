"""Annotated people: readers of COCO and MPII files, images, and the sources that detectors are trained on."""
