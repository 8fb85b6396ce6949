"""Calibrated cameras of several views of one scene, read from the files of other programs; without Ray and MLflow."""
