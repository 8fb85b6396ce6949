"""The serve job: lifts tracks that others send by HTTP, several requests together, on a pool of processes."""
