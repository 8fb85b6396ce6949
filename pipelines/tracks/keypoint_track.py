"""One row of the tracks format as arrays: a person over time, with or without labeled 3D positions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from schemas.cameras import Intrinsics, Provenance


@dataclass(frozen=True)
class KeypointTrack:
    """A person over time in one video or one labeled camera view.

    Attributes:
        track_id: Identifies the track among all tracks.
        video: URI of the video, or a name for the camera view it comes from.
        subject: Who it is, if known.
        action: What they do, if known.
        camera: Which camera, if known.
        person: Counts the people of the video.
        layout: Joint layout of the keypoints.
        width: Width of the upright image, px.
        height: Height of the upright image, px.
        fps: Frames per second; NaN if unknown.
        start_frame: Number of the first frame in its video.
        timestamps_s: When each frame is shown, s.
        boxes: (x0, y0, x1, y1), px.
        box_scores: Confidence of the person, 0 to 1.
        keypoints: Pixels.
        scores: Confidence of each keypoint, 0 to 1.
        interpolated: Whether the person was not observed in this frame.
        intrinsics: Pixels of the upright full-size image; None if unknown.
        intrinsics_provenance: Where the intrinsics come from.
        positions: Metres, camera space; None if unlabeled.
        positions_layout: Joint layout of the positions; None if unlabeled.
        up: The direction away from the ground, a unit vector in camera space; None if unknown.
    """

    track_id: str
    video: str
    subject: str | None
    action: str | None
    camera: str | None
    person: int
    layout: str
    width: int
    height: int
    fps: float
    start_frame: int
    timestamps_s: Float64[np.ndarray, " frames"]
    boxes: Float32[np.ndarray, "frames 4"]
    box_scores: Float32[np.ndarray, " frames"]
    keypoints: Float32[np.ndarray, "frames joints 2"]
    scores: Float32[np.ndarray, "frames joints"]
    interpolated: Bool[np.ndarray, " frames"]
    intrinsics: Intrinsics | None
    intrinsics_provenance: Provenance
    positions: Float32[np.ndarray, "frames joints3d 3"] | None = None
    positions_layout: str | None = None
    up: Float32[np.ndarray, "3"] | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps_s)

    def to_row(self) -> dict[str, Any]:
        """The row of the tracks format."""
        flat = {name: getattr(self, name) for name in _SCALARS} | {"frames": len(self)}
        flat |= {name: np.ravel(getattr(self, name)) for name in _ARRAYS}
        flat["intrinsics"] = self.intrinsics.model_dump() if self.intrinsics else None
        flat["positions"] = None if self.positions is None else np.ravel(self.positions)
        flat["up"] = self.up
        return flat

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "KeypointTrack":
        """The track of a row of the tracks format; its lists may be Python lists or NumPy arrays."""
        frames = row["frames"]
        arrays: dict[str, Any] = {
            name: np.asarray(row[name], dtype).reshape(frames, *shape) for name, (dtype, shape) in _ARRAYS.items()
        }
        positions, intrinsics, up = row["positions"], row["intrinsics"], row.get("up")
        values = {name: row[name] for name in _SCALARS}
        values["fps"] = math.nan if row["fps"] is None else row["fps"]
        return cls(
            **values,
            **arrays,
            intrinsics=None if intrinsics is None else Intrinsics(**intrinsics),
            positions=None if positions is None else np.asarray(positions, np.float32).reshape(frames, -1, 3),
            up=None if up is None else np.asarray(up, np.float32),
        )


_SCALARS = (
    *("track_id", "video", "subject", "action", "camera", "person", "layout", "width", "height", "fps"),
    *("start_frame", "intrinsics_provenance", "positions_layout"),
)
_ARRAYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "timestamps_s": (np.float64, ()),
    "boxes": (np.float32, (4,)),
    "box_scores": (np.float32, ()),
    "keypoints": (np.float32, (-1, 2)),
    "scores": (np.float32, (-1,)),
    "interpolated": (bool, ()),
}
