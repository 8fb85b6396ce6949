"""Floor 0: what may be said. Job configs, joint layouts, cameras, Arrow schemas; no torch, no Ray."""
