"""The job that chooses the tracks that are worth training on, with a reason for each of the others."""
