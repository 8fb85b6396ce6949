"""Measures that choose tracks for training: their quality, copies among them, and the poses that they cover."""
