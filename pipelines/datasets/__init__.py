"""Importers of labeled poses: public datasets, motion capture and synthetic videos become tracks."""
