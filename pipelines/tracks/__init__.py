"""Keypoint tracks and lifted tracks: read, written, chosen and resampled."""
