"""People in motion made from nothing: motions, cameras, a renderer, and the truth of all they show."""
