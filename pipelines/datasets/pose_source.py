"""The protocol of a source of labeled poses, and the conversion of the arrays of a camera view to a track."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.cameras import Intrinsics
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout


class PoseSourceConfig(JobConfig):
    """Options of every source."""

    check: bool = True
    """Whether poses that people cannot have, and keypoints that are not those of the poses, are refused."""


@runtime_checkable
class PoseSource(Protocol):
    """Labeled poses from elsewhere; the same config and files give the same tracks with the same ids.

    `__init__(config)` takes an instance of its `Config` and reads no file.
    """

    Config: ClassVar[type[JobConfig]]
    """The options under `source.` in a job's config."""

    notes: list[str]
    """What was left out or decided, and why, one line each; complete once `tracks` is exhausted."""

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """URIs of the files that the tracks are read from, by the option that names them."""
        ...

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks one after another, all of the same joint layouts.

        Raises:
            UserError: The files cannot be read, or have another format.
        """
        ...


@dataclass(frozen=True)
class Shot:
    """One sequence as one camera sees it.

    Attributes:
        origin: The source and its file, such as "human36m:data_2d_h36m_gt".
        subject: Who it is.
        action: What they do.
        camera: Which camera.
        width: Image width, px.
        height: Image height, px.
        fps: Frames per second.
        intrinsics: Pixels; None if unknown.
    """

    origin: str
    subject: str
    action: str
    camera: str
    width: int
    height: int
    fps: float
    intrinsics: Intrinsics | None

    @property
    def name(self) -> str:
        """Name of the view, which tracks carry in place of the address of a video."""
        return f"{self.origin}/{self.subject}/{self.action}/{self.camera}"

    def track(
        self,
        layout: JointLayout,
        keypoints: Float[np.ndarray, "frames joints 2"],
        scores: Float[np.ndarray, "frames joints"] | None = None,
        positions: Float[np.ndarray, "frames joints3d 3"] | None = None,
        positions_layout: JointLayout | None = None,
        start_frame: int = 0,
        up: Float[np.ndarray, "3"] | None = None,
    ) -> KeypointTrack:
        """A track of this view; its boxes bound the joints, its id is a hash of the view's name and the first frame.

        Args:
            layout: Joint layout of the keypoints.
            keypoints: Pixels.
            scores: Confidence of each keypoint, 0 to 1; None: 1.
            positions: Camera space, metres; None if unlabeled.
            positions_layout: Joint layout of the positions; None if unlabeled.
            start_frame: Number of the first frame in its sequence.
            up: The direction away from the ground in camera space; None if unknown.
        """
        frames = len(keypoints)
        scores = np.ones((frames, len(layout))) if scores is None else scores
        return KeypointTrack(
            track_id=digest([self.name, start_frame]),
            video=self.name,
            **{name: getattr(self, name) for name in ("subject", "action", "camera", "width", "height", "intrinsics")},
            person=0,
            layout=layout.name,
            fps=float(self.fps),
            start_frame=start_frame,
            timestamps_s=(start_frame + np.arange(frames)) / self.fps,
            boxes=bounding_boxes(keypoints),
            box_scores=(scores.sum(1) / np.maximum((scores > 0).sum(1), 1)).astype(np.float32),
            keypoints=keypoints.astype(np.float32),
            scores=scores.astype(np.float32),
            interpolated=np.zeros(frames, bool),
            intrinsics_provenance="none" if self.intrinsics is None else "calibrated",
            positions=None if positions is None else positions.astype(np.float32),
            positions_layout=None if positions is None or positions_layout is None else positions_layout.name,
            up=None if up is None else up.astype(np.float32),
        )


def bounding_boxes(keypoints: Float[np.ndarray, "frames joints 2"]) -> Float32[np.ndarray, "frames 4"]:
    """(x0, y0, x1, y1) around all joints."""
    return np.concatenate([keypoints.min(1), keypoints.max(1)], axis=1).astype(np.float32)


def fill_missing(
    keypoints: Float[np.ndarray, "frames joints 2"], scores: Float[np.ndarray, "frames joints"] | None
) -> tuple[Float[np.ndarray, "frames joints 2"], Float[np.ndarray, "frames joints"] | None]:
    """Keypoints and scores in which missing joints, (0, 0) or not finite, have score 0.

    They lie between their neighbours in time. Where none are missing, both are as they were.
    """
    missing = ~np.isfinite(keypoints).all(-1) | (keypoints == 0).all(-1)
    if not missing.any():
        return keypoints, scores
    filled, frames = keypoints.copy(), np.arange(len(keypoints))
    middle = (
        np.nanmean(np.where(missing[..., None], np.nan, keypoints), axis=(0, 1)) if not missing.all() else np.zeros(2)
    )
    for joint in range(keypoints.shape[1]):
        known = ~missing[:, joint]
        for axis in range(2):
            filled[~known, joint, axis] = (
                np.interp(frames[~known], frames[known], keypoints[known, joint, axis]) if known.any() else middle[axis]
            )
    return filled, np.where(missing, 0.0, 1.0 if scores is None else scores)


def stem(uri: str) -> str:
    """The name of a file without folder and ending."""
    return uri.rstrip("/").rsplit("/", 1)[-1].rpartition(".")[0] or uri


def digest(value: object) -> str:
    """A track id: a hash of the names that identify the track."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
