"""ViTPose: a plain vision transformer for top-down keypoints (Xu et al. 2022, arXiv:2204.12484)."""
