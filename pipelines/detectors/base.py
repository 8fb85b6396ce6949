"""The protocols of 2D keypoint detectors, which return the people of each frame."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from pipelines.pose.people import People
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout


@runtime_checkable
class Detector(Protocol):
    """A detector is built once per worker process and called with batches of frames.

    `__init__(config, threads, device)` loads the weights: `config` is an instance of its `Config`, `threads` is
    the number of CPU threads it may use, `device` a torch device string such as "cpu" or "cuda".
    """

    Config: ClassVar[type[JobConfig]]
    """The options under `detector.` in a job's config.

    Its class variable `PRACTICAL` holds, in the form of pydantic's `exclude`, the options that do not change the
    results: an output may be continued with other values. Without it that is `weights`, whose hash is compared instead.
    With a class variable `ON_CPUS_ALONE = True`, GPUs that are given to the detector are refused.
    """

    layout: JointLayout
    """The joints that it detects."""

    weights_sha256: str
    """Identifies the weights in the output's metadata."""

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        """Load the weights."""
        ...

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame; the result depends on these frames only, not on earlier calls."""
        ...


@runtime_checkable
class TimedDetector(Detector, Protocol):
    """A detector that takes the timestamps of the frames, because it tracks people from frame to frame."""

    def detect_clip(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        timestamps_s: Float64[np.ndarray, " frames"],
    ) -> list[People]:
        """Detect the people of each RGB frame; calling the detector does the same without timestamps.

        Args:
            frames: RGB frames of one clip; damaged ones may be missing.
            timestamps_s: When each is shown, s, ascending; may repeat.
        """
        ...


@runtime_checkable
class KeypointEstimator(Detector, Protocol):
    """A detector that takes the boxes of people and detects the joints of each."""

    def estimate(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        boxes: Sequence[Float32[np.ndarray, "_people 4"]],
    ) -> list[People]:
        """Detect the joints of the people in the boxes of each RGB frame.

        There is one person for each box, in the same order, with that box. Frames may be padded with black on the
        right and at the bottom, so that images of several sizes fit in one call; this must not change the result.

        Args:
            frames: RGB frames.
            boxes: For each frame (x0, y0, x1, y1) of its people, not padded, in the pixels of `People`; they may
                reach beyond the frame, and may have no area.
        """
        ...
