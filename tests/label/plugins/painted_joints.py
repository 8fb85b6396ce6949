"""A plug-in detector for tests: joints are painted into lossless images, a pixel each, and found by their colour."""

import hashlib

import numpy as np
from pydantic import Field

from pipelines.pose.people import People
from schemas.job_config import JobConfig
from schemas.layouts import layout

# The colour of joint j of person p: (STEP * (j + 1), STEP * (p + 1), 255).
STEP = 7


class PaintedJoints:
    """Finds every painted joint exactly, half a pixel from its pixel's corner, then moves it if told to."""

    class Config(JobConfig):
        layout: str = "coco17"
        """Joints to find."""
        shift_px: float = Field(default=0.0, allow_inf_nan=True)
        """How far to miss every joint to the right, px."""
        weights: str = "a"
        """Stands for weights: another value, another hash."""
        flip: bool = False
        """Changes nothing but the settings."""

    def __init__(self, config, threads, device):
        self.config = config
        self.layout = layout(config.layout)
        self.weights_sha256 = hashlib.sha256(config.weights.encode()).hexdigest()

    def __call__(self, frames):
        return [self.look(frame) for frame in frames]

    def estimate(self, frames, boxes):
        return [self.in_boxes(self.look(frame), given) for frame, given in zip(frames, boxes, strict=True)]

    def in_boxes(self, people, given):
        """Of each box whoever has most joints in it."""
        points = people.keypoints[:, None]
        inside = ((points >= given[:, None, :2]) & (points <= given[:, None, 2:])).all(-1).sum(-1)
        chosen = inside.argmax(0) if len(people) else []
        return People(given, people.scores[chosen], people.keypoints[chosen], people.keypoint_scores[chosen])

    def look(self, frame):
        rows, columns = np.nonzero((frame[..., 2] == 255) & (frame[..., 0] > 0))
        joints, people = frame[rows, columns, 0] // STEP - 1, frame[rows, columns, 1] // STEP - 1
        count = people.max() + 1 if len(people) else 0
        keypoints = np.zeros((count, 17, 2), np.float32)
        scores = np.zeros((count, 17), np.float32)
        keypoints[people, joints] = np.stack([columns, rows], -1) + 0.5
        keypoints[..., 0] += self.config.shift_px
        scores[people, joints] = 1
        keypoints, scores = keypoints[:, : len(self.layout)], scores[:, : len(self.layout)]
        boxes = np.concatenate([keypoints.min(1), keypoints.max(1)], -1) if count else np.zeros((0, 4), np.float32)
        return People(boxes, np.ones(count, np.float32), keypoints, scores)
