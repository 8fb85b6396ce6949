"""A plug-in detector for tests: the person is the bright square of the frame. Real code, another kind of eye."""

import hashlib
import time

import numpy as np

from pipelines.pose.people import People
from schemas.job_config import JobConfig
from schemas.layouts import layout


class BrightSpot:
    """Finds the bounding box of the bright pixels, and 17 keypoints on its diagonal."""

    class Config(JobConfig):
        delay_s: float = 0.0
        """Time to waste on each frame, s: for tests that interrupt."""
        weights: str = "a"
        """Stands for weights: another value, another hash."""

    def __init__(self, config, threads, device):
        self.config = config
        self.layout = layout("coco17")
        self.weights_sha256 = hashlib.sha256(config.weights.encode()).hexdigest()

    def __call__(self, frames):
        return [self.look(frame) for frame in frames]

    def look(self, frame):
        time.sleep(self.config.delay_s)
        rows, columns = np.nonzero(frame.min(axis=2) > 128)
        if not len(rows):
            return People.nobody(17)
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
        share = np.linspace(0, 1, 17, dtype=np.float32)[None, :, None]
        keypoints = box[:, None, :2] * (1 - share) + box[:, None, 2:] * share
        return People(box, np.ones(1, np.float32), keypoints, np.ones((1, 17), np.float32))
