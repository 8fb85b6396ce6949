"""Input and output of the tracker: frames with their people, the timeline of the video, and tracks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from pipelines.pose.people import People


@dataclass(frozen=True)
class Frame:
    """The people found in one frame of a video.

    Attributes:
        index: Its number in the video, counting damaged frames too.
        timestamp_s: When it is shown, s.
        people: The people that were detected.
        shot: Number of its shot; people are not tracked from one shot to another.
    """

    index: int
    timestamp_s: float
    people: People
    shot: int = 0


@dataclass(frozen=True)
class Timeline:
    """Every frame of a video, including those that cannot be decoded; both columns ascend.

    Attributes:
        indices: Frame numbers, each once.
        timestamps_s: When each is shown, s; may repeat.
    """

    indices: Int64[np.ndarray, " frames"]
    timestamps_s: Float64[np.ndarray, " frames"]

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> "Timeline":
        """The timeline of a video of which only these frames are known."""
        return cls(
            np.array([frame.index for frame in frames], np.int64),
            np.array([frame.timestamp_s for frame in frames], np.float64),
        )


@dataclass(frozen=True)
class Track:
    """One person over time: one row for every frame of the timeline from first to last observation.

    Interpolated rows fill gaps linearly in time. Their boxes and keypoints were not measured, so all their scores are
    0: a loss weighted by confidence ignores them.

    Attributes:
        indices: Frame numbers in the video.
        timestamps_s: When each frame is shown, s.
        boxes: (x0, y0, x1, y1), pixels.
        box_scores: Confidence of the person, 0 to 1.
        keypoints: (x, y) of each joint, pixels.
        keypoint_scores: Confidence of each joint, 0 to 1.
        interpolated: Whether the person was not observed in this frame.
        swapped: Whether left and right were exchanged in this frame, see `side_swaps`.
    """

    indices: Int64[np.ndarray, " frames"]
    timestamps_s: Float64[np.ndarray, " frames"]
    boxes: Float32[np.ndarray, "frames 4"]
    box_scores: Float32[np.ndarray, " frames"]
    keypoints: Float32[np.ndarray, "frames joints 2"]
    keypoint_scores: Float32[np.ndarray, "frames joints"]
    interpolated: Bool[np.ndarray, " frames"]
    swapped: Bool[np.ndarray, " frames"]

    def __len__(self) -> int:
        """Number of frames, interpolated ones included."""
        return len(self.indices)


def lay_out(
    indices: Int64[np.ndarray, " observations"],
    people: People,
    timeline: Timeline,
    swapped: Bool[np.ndarray, " observations"] | None = None,
) -> Track:
    """Lay one person's observations out over the timeline, gaps interpolated.

    Args:
        indices: Numbers of the frames in which the person was observed, ascending, all in the timeline.
        people: The person in each of these frames.
        timeline: Every frame of the video.
        swapped: In which of these frames left and right were exchanged; None: in none.
    """
    observed = np.searchsorted(timeline.indices, indices)
    span = slice(observed[0], observed[-1] + 1)
    rows = observed - observed[0]
    times = timeline.timestamps_s[span]
    interpolated = np.ones(len(times), bool)
    interpolated[rows] = False
    marked = np.zeros(len(times), bool)
    marked[rows] = False if swapped is None else swapped
    return Track(
        indices=timeline.indices[span],
        timestamps_s=times,
        boxes=_interpolate(times, rows, people.boxes),
        box_scores=_scatter(len(times), rows, people.scores),
        keypoints=_interpolate(times, rows, people.keypoints),
        keypoint_scores=_scatter(len(times), rows, people.keypoint_scores),
        interpolated=interpolated,
        swapped=marked,
    )


def _interpolate(
    times: Float64[np.ndarray, " frames"],
    rows: Int64[np.ndarray, " observations"],
    observed: Float32[np.ndarray, "observations ..."],
) -> Float32[np.ndarray, "frames ..."]:
    columns = observed.reshape(len(rows), -1).T
    filled = np.stack([np.interp(times, times[rows], column) for column in columns], -1, dtype=np.float32)
    filled = filled.reshape(len(times), *observed.shape[1:])
    filled[rows] = observed
    return filled


def _scatter(
    frames: int,
    rows: Int64[np.ndarray, " observations"],
    observed: Float32[np.ndarray, "observations ..."],
) -> Float32[np.ndarray, "frames ..."]:
    scattered = np.zeros((frames, *observed.shape[1:]), np.float32)
    scattered[rows] = observed
    return scattered
