"""Code that all trainings share: Ray Train, the worker loop, the channel to the driver, checkpoints, epoch reports."""
