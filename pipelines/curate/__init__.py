"""The job from tracks to those of them that are worth training on, with a reason for each of the others."""
