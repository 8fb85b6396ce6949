"""The training of aligners: plan, samples, loop, on the machinery of pipelines/training."""
