"""HRNet: a network that keeps its full resolution, for top-down keypoints (Sun et al. 2019)."""
