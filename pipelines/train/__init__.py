"""Training of temporal lifters: data, objective, loop; on Ray Train."""
