"""How good detected keypoints are, by the measures of COCO and MPII."""
