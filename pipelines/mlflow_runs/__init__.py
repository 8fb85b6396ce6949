"""MLflow: the run of a job, the tracking server, the queue of entries that wait for it, and models by their address."""
