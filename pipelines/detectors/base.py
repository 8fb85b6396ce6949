"""What a 2D keypoint detector is: frames in, the people of each frame out."""

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

    Its class variable `PRACTICAL` holds, as pydantic's `exclude`, those that do not change what is found: an output may
    be continued with others. Without it that is `weights`, whose hash counts instead.
    """

    layout: JointLayout
    """The joints it finds."""

    weights_sha256: str
    """Identifies the weights in the output's metadata."""

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        """Load the weights."""
        ...

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Find the people of each RGB frame; the same frames give the same people, whatever came before."""
        ...


@runtime_checkable
class TimedDetector(Detector, Protocol):
    """A detector that can be told when the frames are shown: one that follows people from frame to frame."""

    def detect_clip(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        timestamps_s: Float64[np.ndarray, " frames"],
    ) -> list[People]:
        """Find the people of each RGB frame, as calling the detector does where nobody knows the times.

        Args:
            frames: RGB frames of one clip; damaged ones may be missing.
            timestamps_s: When each is shown, s, ascending; equal ones are tolerated.
        """
        ...


@runtime_checkable
class KeypointEstimator(Detector, Protocol):
    """A detector that can be told where the people are and finds the joints of each."""

    def estimate(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        boxes: Sequence[Float32[np.ndarray, "_people 4"]],
    ) -> list[People]:
        """Find the joints of the people in the boxes of each RGB frame.

        Everybody given is returned, in the order given, with the box given. Frames may have been widened by black
        on the right and at the bottom, so that images of several sizes go in one call: it changes nothing.

        Args:
            frames: RGB frames.
            boxes: For each frame (x0, y0, x1, y1) of its people, not padded, in the pixels of `People`; they may
                reach beyond the frame, and may have no area.
        """
        ...
