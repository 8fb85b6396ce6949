"""What tells which tracks are worth training on: their quality, copies among them, and the poses that they cover."""
