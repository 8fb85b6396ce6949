"""The job from keypoint tracks to embeddings of their frames."""
