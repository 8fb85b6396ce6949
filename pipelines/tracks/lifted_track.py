"""One row of the poses format as arrays: a person over time in 3D, as predicted by a lifter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64

from pipelines.tracks.joint_scores import unseen_joints
from schemas.cameras import Intrinsics, Provenance
from schemas.layouts import layout

Reprojection = Literal["perspective", "orthographic", "none"]
"""How positions were compared with keypoints: by projection with intrinsics and trajectory; by the best scale and shift
of each frame where either is missing (weak perspective); or not at all."""

TrajectoryProvenance = Literal["predicted", "fitted", "none"]


@dataclass(frozen=True)
class LiftedTrack:
    """A person over time in 3D; frames and timestamps are those of the track.

    Attributes:
        track_id: Identifies the track among all tracks.
        video: URI of the video, or a name for the camera view it comes from.
        subject: Who it is, if known.
        action: What they do, if known.
        camera: Which camera, if known.
        person: Counts the people of the video.
        source: Name of the tracks file that it was read from, which is a content hash.
        model: The lifter: a registered version, or a file's address.
        model_sha256: Of the lifter's file.
        layout: Joint layout of the positions.
        width: Width of the upright image, px.
        height: Height of the upright image, px.
        fps: Frames per second of the track; NaN if unknown.
        start_frame: Number of the first frame in its video.
        timestamps_s: When each frame is shown, s.
        positions: Metres, relative to the root, axes of camera space (x right, y down, z forward).
        trajectory: Where the root is in camera space, metres; None if unknown.
        trajectory_provenance: Whether the lifter predicts it, or the pose was placed where its joints fit their
            keypoints.
        interpolated: Whether the person was not observed in this frame.
        keypoint_score: Mean score of the frame's keypoints, 0 to 1.
        joint_scores: Score of the keypoints that tell where each joint is, 0 to 1; None if unknown.
        reprojection_px: Mean distance of projected joints and keypoints, px; None if nothing can be compared.
        reprojection: How they were compared.
        bone_length_deviation: Mean over bones of |length / median length over the track - 1|.
        intrinsics: Pixels of the upright full-size image; None if unknown.
        intrinsics_provenance: Where the intrinsics come from.
    """

    track_id: str
    video: str
    subject: str | None
    action: str | None
    camera: str | None
    person: int
    source: str
    model: str
    model_sha256: str
    layout: str
    width: int
    height: int
    fps: float
    start_frame: int
    timestamps_s: Float64[np.ndarray, " frames"]
    positions: Float32[np.ndarray, "frames joints 3"]
    trajectory: Float32[np.ndarray, "frames 3"] | None
    interpolated: Bool[np.ndarray, " frames"]
    keypoint_score: Float32[np.ndarray, " frames"]
    reprojection_px: Float32[np.ndarray, " frames"] | None
    reprojection: Reprojection
    bone_length_deviation: Float32[np.ndarray, " frames"]
    intrinsics: Intrinsics | None
    intrinsics_provenance: Provenance
    trajectory_provenance: TrajectoryProvenance = "none"
    joint_scores: Float32[np.ndarray, "frames joints"] | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps_s)

    @property
    def unseen_joints(self) -> list[str] | None:
        """Joints that were seen in almost no frame; None if their scores are unknown."""
        if self.joint_scores is None:
            return None
        return unseen_joints(self.joint_scores, self.interpolated, layout(self.layout).joints)

    def to_row(self) -> dict[str, Any]:
        """The row of the poses format."""
        flat = {name: getattr(self, name) for name in _SCALARS} | {"frames": len(self), "error": None}
        flat["unseen_joints"] = self.unseen_joints
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, *_OPTIONAL)}
        flat |= {name: None if array is None else np.ravel(array) for name, array in arrays.items()}
        flat["intrinsics"] = self.intrinsics.model_dump() if self.intrinsics else None
        return flat

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "LiftedTrack":
        """The lifted track of a row without `error`; its lists may be Python lists or NumPy arrays."""
        assert row["error"] is None, row["error"]
        frames = row["frames"]
        arrays: dict[str, Any] = {
            name: None if row.get(name) is None else np.asarray(row[name], dtype).reshape(frames, *shape)
            for name, (dtype, shape) in (_ARRAYS | _OPTIONAL).items()
        }
        intrinsics = row["intrinsics"]
        return cls(
            **{name: row[name] for name in _SCALARS if name in row}
            | {"trajectory_provenance": row.get("trajectory_provenance") or "none"},
            **arrays,
            intrinsics=None if intrinsics is None else Intrinsics(**intrinsics),
        )


_SCALARS = (
    *("track_id", "video", "subject", "action", "camera", "person", "source", "model", "model_sha256", "layout"),
    *("width", "height", "fps", "start_frame", "reprojection", "intrinsics_provenance", "trajectory_provenance"),
)
_ARRAYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "timestamps_s": (np.float64, ()),
    "positions": (np.float32, (-1, 3)),
    "interpolated": (bool, ()),
    "keypoint_score": (np.float32, ()),
    "bone_length_deviation": (np.float32, ()),
}
_OPTIONAL: dict[str, tuple[Any, tuple[int, ...]]] = {
    "trajectory": (np.float32, (3,)),
    "reprojection_px": (np.float32, ()),
    "joint_scores": (np.float32, (-1,)),
}
