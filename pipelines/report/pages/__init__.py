"""Pages about the result of a job: label, train, evaluate and tune."""
