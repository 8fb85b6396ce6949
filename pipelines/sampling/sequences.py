"""All tracks of a set, concatenated along time in the memory of one device."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from pipelines.pose import cameras, rays
from pipelines.pose.cameras import FISHEYE
from pipelines.pose.in_picture import why_not_pixels
from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas import layouts
from schemas.configs.train import LifterInput
from schemas.errors import UserError
from schemas.layouts import JointLayout, joint_indices

# The direction of up in the camera space of a level camera.
LEVEL_UP = (0.0, -1.0, 0.0)


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """The origin of a sequence; the fields are those of its track."""

    track_id: str
    video: str
    subject: str | None
    action: str | None
    camera: str | None
    width: int
    height: int
    fps: float


@dataclass(frozen=True)
class Sequences:
    """Sequences of people, concatenated along time.

    Attributes:
        infos: Origin of each sequence.
        layout: Joint layout of inputs, keypoints and scores.
        positions_layout: Joint layout of the positions; None if there are none.
        inputs: Input of the lifter: x, y in screen units (or slopes of rays), and the score if it reads three features.
        keypoints: x, y of the inputs, whose memory it shares.
        scores: Confidence of each keypoint, 0 to 1.
        positions: Joints in camera space, metres; None if unlabeled.
        up: The direction away from the ground in each sequence's camera space. Where a track does not say it: that of a
            camera which is level.
        cameras: The cameras that project to such keypoints, as `pose.cameras.camera_vector` orders them; None unless
            every track has intrinsics, or keypoints are slopes.
        offsets: First row of each sequence; the last entry is the number of frames.
        fisheyes: Whether some of the cameras are fisheyes.
    """

    infos: tuple[SequenceInfo, ...]
    layout: JointLayout
    positions_layout: JointLayout | None
    inputs: Float32[Tensor, "frames joints features"]
    keypoints: Float32[Tensor, "frames joints 2"]
    scores: Float32[Tensor, "frames joints"]
    positions: Float32[Tensor, "frames joints3d 3"] | None
    cameras: Float32[Tensor, "sequences 10"] | None
    up: Float32[Tensor, "sequences 3"]
    offsets: Int64[Tensor, " boundaries"]
    fisheyes: bool = False

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.infos)

    @property
    def frames(self) -> int:
        """Number of frames of all sequences."""
        return len(self.inputs)

    @property
    def lengths(self) -> Int64[Tensor, " sequences"]:
        """Frames of each sequence."""
        return self.offsets.diff()

    def to(self, device: torch.device | str) -> "Sequences":
        """The same sequences on a device."""
        inputs, features = self.inputs.to(device), self.inputs.shape[2]
        return replace(
            self,
            inputs=inputs,
            keypoints=inputs[..., :2],
            scores=inputs[..., 2] if features == 3 else self.scores.to(device),
            positions=None if self.positions is None else self.positions.to(device),
            cameras=None if self.cameras is None else self.cameras.to(device),
            up=self.up.to(device),
            offsets=self.offsets.to(device),
        )


def concatenate(
    tracks: Iterable[KeypointTrack],
    *,
    layout: JointLayout,
    features: Literal[2, 3] = 2,
    positions_layout: JointLayout | None = None,
    needs_intrinsics: bool = False,
    lifter_input: LifterInput = "screen",
) -> Sequences:
    """Concatenate tracks; tracks without frames are left out.

    Args:
        tracks: Tracks of the same frame rate.
        layout: Joint layout that the lifter reads; tracks of other layouts give the joints of the same names.
        features: 2: x, y; 3: x, y, score.
        positions_layout: Joint layout that the lifter predicts, if the tracks must be labeled; else positions are
            left out.
        needs_intrinsics: Whether every track must have them.
        lifter_input: How the lifter is given keypoints; person-centred lifters read slopes of rays, with the scores.

    Raises:
        UserError: There are no tracks; joints, labels or intrinsics are missing; a number is not finite; or
            keypoints are not in pixels.
    """
    infos: list[SequenceInfo] = []
    pieces: dict[str, list[Tensor]] = {"inputs": [], "scores": [], "positions": [], "cameras": [], "up": []}
    for track in filter(len, tracks):
        _check(track, layout, positions_layout, needs_intrinsics and lifter_input == "screen")
        infos.append(SequenceInfo(**{name: getattr(track, name) for name in SequenceInfo.__slots__}))
        joints = list(joint_indices(layouts.layout(track.layout), layout))
        keypoints, scores = torch.tensor(track.keypoints[:, joints]), torch.tensor(track.scores[:, joints])
        points, camera = _points_and_camera(track, keypoints, lifter_input)
        if camera is not None:
            pieces["cameras"].append(camera)
        pieces["inputs"].append(torch.cat([points, scores[..., None]], 2) if features == 3 else points)
        pieces["up"].append(torch.tensor(LEVEL_UP if track.up is None else track.up))
        if features == 2:
            pieces["scores"].append(scores)
        if positions_layout is not None:
            pieces["positions"].append(torch.tensor(track.positions))
    if not infos:
        raise UserError("tracks: there is no frame to train on; give tracks, or a larger share of them")
    lengths = [0, *map(len, pieces["inputs"])]
    # The kinds of arrays are joined one after another, so that at most one of them is in memory twice.
    inputs = torch.cat(pieces.pop("inputs"))
    cameras_known = len(pieces["cameras"]) == len(infos)
    return Sequences(
        tuple(infos),
        layout,
        positions_layout,
        inputs,
        inputs[..., :2],
        scores=inputs[..., 2] if features == 3 else torch.cat(pieces.pop("scores")),
        positions=None if positions_layout is None else torch.cat(pieces.pop("positions")),
        cameras=torch.stack(pieces["cameras"]) if cameras_known else None,
        up=torch.stack(pieces["up"]),
        offsets=torch.tensor(lengths).cumsum(0),
        fisheyes=cameras_known and any(camera[-1] == FISHEYE for camera in pieces["cameras"]),
    )


def _points_and_camera(
    track: KeypointTrack, keypoints: Float32[Tensor, "frames joints 2"], lifter_input: LifterInput
) -> tuple[Float32[Tensor, "frames joints 2"], Float32[Tensor, "10"] | None]:
    """Keypoints (px) as a lifter is given them, and the camera that projects to such points, if it is known."""
    size = track.width, track.height
    if lifter_input == "person_centred":
        return rays.slopes(keypoints, *size, track.intrinsics), torch.tensor(rays.SLOPE_CAMERA)
    known = track.intrinsics
    return cameras.to_screen(keypoints, *size), None if known is None else cameras.camera_vector(known, *size)


def _check(
    track: KeypointTrack, layout: JointLayout, positions_layout: JointLayout | None, needs_intrinsics: bool
) -> None:
    name = f"track {track.track_id} ({track.video})"
    missing = [joint for joint in layout.joints if joint not in layouts.layout(track.layout).joints]
    if missing:
        raise UserError(
            f"{name}: keypoints are {track.layout}, which lacks {missing[0]} of {layout.name}; "
            f"give tracks of {layout.name}"
        )
    if needs_intrinsics and track.intrinsics is None:
        raise UserError(
            f"{name}: has no intrinsics, which this projection needs; label with assumed_fov_deg, "
            "or train with projection=orthographic"
        )
    _check_finite(name, "keypoints", track.keypoints)
    _check_finite(name, "scores", track.scores)
    # A detector may follow a person who leaves the picture, so no share of the joints must be within it.
    if reason := why_not_pixels(track.keypoints[track.scores >= UNSEEN], track.width, track.height, least_within=0.0):
        raise UserError(f"{name}: keypoints {reason}")
    if positions_layout is None:
        return
    if track.positions is None:
        raise UserError(f"{name}: has no positions; labeled tracks come from raylift import_poses")
    if track.positions_layout != positions_layout.name:
        raise UserError(
            f"{name}: positions are {track.positions_layout}, expected {positions_layout.name}; "
            f"give tracks labeled in {positions_layout.name}"
        )
    _check_finite(name, "positions", track.positions)


def _check_finite(name: str, what: str, values: Float[np.ndarray, "frames joints *components"]) -> None:
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise UserError(f"{name}: {what} of frame {int(finite.argmin())} are not finite; mend or remove the track")
