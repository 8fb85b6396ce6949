"""Evaluation of lifters: tracks are lifted and scored by the protocols of the field."""
