"""Floor 3: entry points, one short file a job. Nothing imports jobs but jobs."""
