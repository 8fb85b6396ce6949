"""Person finders: boxes of people for the top-down detectors."""
