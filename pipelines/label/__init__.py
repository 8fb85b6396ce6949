"""Label: videos to detections to tracks. `pipeline.py` is the only file here that knows Ray."""
