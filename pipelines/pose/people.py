"""The people of one frame: what detectors return and the tracker takes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class People:
    """The people found in one frame; pixels of that frame, (0, 0) is its top-left corner.

    Attributes:
        boxes: (x0, y0, x1, y1) of each person.
        scores: Confidence of each person, 0 to 1.
        keypoints: (x, y) of each joint, in the detector's layout.
        keypoint_scores: Confidence of each joint, 0 to 1.
    """

    boxes: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, " people"]
    keypoints: Float32[np.ndarray, "people joints 2"]
    keypoint_scores: Float32[np.ndarray, "people joints"]

    @classmethod
    def nobody(cls, joints: int) -> "People":
        """An empty frame."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, joints, 2), np.float32),
            np.zeros((0, joints), np.float32),
        )

    def __len__(self) -> int:
        """Number of people."""
        return len(self.scores)
