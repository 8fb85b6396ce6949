"""The lift job: tracks of 2D keypoints to 3D poses."""
