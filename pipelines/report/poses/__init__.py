"""People in 2D and 3D, as an interactive page and as a rendered video."""
