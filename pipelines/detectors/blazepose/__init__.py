"""BlazePose on the CPU: a person model detects people, a landmark model their 33 joints (arXiv:2006.10204)."""
