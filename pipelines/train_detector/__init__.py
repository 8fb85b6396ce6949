"""Training of 2D keypoint detectors (HRNet), from labeled people in images and videos to a checkpoint."""
