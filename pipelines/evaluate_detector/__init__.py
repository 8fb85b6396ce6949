"""Detector evaluation: images to predictions to scores. `pipeline.py` is the only file here that knows Ray."""
