"""People in images and videos with their joints marked: what 2D detectors are trained on, whoever marked them."""
