"""What every training shares: Ray Train around its workers, events, the channel to the driver, checkpoints."""
