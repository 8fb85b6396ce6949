"""Ray: the session of a job, job servers, the metrics endpoint and the logs."""
