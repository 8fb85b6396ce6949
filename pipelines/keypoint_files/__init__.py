"""Keypoints that other systems found, read from their files and linked into tracks."""
