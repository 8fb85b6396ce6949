"""MLflow: the run of a job, the tracking server, entries that wait for it, and models by their address."""
