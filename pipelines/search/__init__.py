"""Search spaces and samplers: they choose the values of the trials of a hyperparameter search."""
