"""The mathematics of pose in pure torch: cameras, losses, metrics, mirror images. No I/O, no Ray."""
