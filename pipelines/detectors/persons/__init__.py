"""Where the people are: boxes for the top-down detectors."""
