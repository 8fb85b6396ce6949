"""Search spaces and samplers: the values that the trials of a hyperparameter search take."""
