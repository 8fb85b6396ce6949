"""Training of temporal lifters: the plan of the data, the objective, the loop, and the job around them."""
