"""Lifts tracks: each frame gets a pose at its own time, and measures of its quality."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64

from pipelines.datasets.body_measures import BONES_PER_HEIGHT, Body
from pipelines.lift.timing import at_lifter_rate, at_times
from pipelines.lift.with_feet import add_feet, lifted_layout
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.inference import Lifted, lift
from pipelines.lifters.model import LiftingModel
from pipelines.pose import cameras, quality, rays, refinement
from pipelines.pose.in_picture import why_not_pixels
from pipelines.pose.joint_map import joint_map
from pipelines.sampling.sequences import concatenate
from pipelines.tracks.joint_scores import UNSEEN, joint_scores
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack, Reprojection, TrajectoryProvenance
from pipelines.tracks.resample import frame_times
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.errors import UserError
from schemas.layouts import layout, shared_joints, without_feet

# A pose is fitted to its keypoints by these joints, because detectors and motion capture nearly agree about their
# places.
LIMBS = layout("limbs12")
# Frames of a batch: short tracks are lifted together, and a track that is longer is lifted alone.
BATCH_FRAMES = 8192


@dataclass(frozen=True)
class LoadedLifter:
    """A lifter with its weights, and what results say of it.

    Attributes:
        model: The model; it computes on the device of its weights.
        card: Its card.
        name: Its name in the results.
        sha256: Hash of its file.
        flip: Whether the mirror image is lifted too and both are averaged.
        refine: Whether whole tracks are refined (`pose.refinement`).
        stature_m: Standing height that people are scaled to; None: as the lifter predicts them.
        smoothness: Weight of smooth motion where tracks are refined; 1 is usual.
    """

    model: LiftingModel
    card: LifterCard
    name: str
    sha256: str
    flip: bool
    refine: bool = False
    stature_m: float | None = None
    smoothness: float = 1.0


class _Prepared(NamedTuple):
    """A track, the same track at the lifter's frame rate, and the lifter's input."""

    info: TrackInfo
    track: KeypointTrack
    at_rate: KeypointTrack
    inputs: torch.Tensor


def lift_tracks(
    lifter: LoadedLifter, tracks: Iterable[tuple[TrackInfo, KeypointTrack | str]]
) -> Iterator[tuple[TrackInfo, LiftedTrack | str]]:
    """Lift tracks of any length; one batch of them is in memory at a time.

    Args:
        lifter: A lifter that reads the tracks' layout.
        tracks: Read once, when they are needed; a text in place of a track says why it cannot be read.

    Yields:
        Each lifted track, or the reason why it cannot be lifted.
    """
    batch: list[_Prepared] = []
    frames = 0
    for info, track in tracks:
        prepared = track if isinstance(track, str) else _prepare(lifter, info, track)
        if isinstance(prepared, str):
            yield info, prepared
            continue
        if batch and frames + len(prepared.at_rate) > BATCH_FRAMES:
            yield from _lift(lifter, batch)
            batch, frames = [], 0
        batch.append(prepared)
        frames += len(prepared.at_rate)
    yield from _lift(lifter, batch)


def frames_at_rate(track: TrackInfo, fps: float) -> float:
    """About how many frames a track has at `fps` frames/s, from its description alone."""
    known = track.fps is not None and math.isfinite(track.fps) and track.fps > 0
    return track.frames * fps / track.fps if known and track.fps else float(track.frames)


def _prepare(lifter: LoadedLifter, info: TrackInfo, track: KeypointTrack) -> _Prepared | str:
    try:
        _check(track)
        at_rate = at_lifter_rate(track, lifter.card.fps)
        features = 3 if lifter.model.pose.input_features == 3 else 2
        sequence = concatenate(
            [at_rate], layout=layout(lifter.card.input_layout), features=features, lifter_input=lifter.card.input
        )
    except UserError as error:
        return str(error)
    return _Prepared(info, track, at_rate, sequence.inputs)


def _check(track: KeypointTrack) -> None:
    """Check a track for faults that later steps would miss, or would report without a remedy.

    Raises:
        UserError: The track cannot be lifted.
    """
    name, joints = f"track {track.track_id} ({track.video})", len(layout(track.layout))
    if track.width <= 0 or track.height <= 0:
        raise UserError(f"{name}: its image has {track.width} × {track.height} pixels; write the track again")
    for what, count in (("keypoints", track.keypoints.shape[1]), ("scores", track.scores.shape[1])):
        if count != joints:
            raise UserError(f"{name}: has {count} {what} a frame, {track.layout} has {joints}; write the track again")
    if not np.isfinite(track.timestamps_s).all():
        raise UserError(f"{name}: timestamps are not finite; mend or remove the track")
    visible = (track.scores >= UNSEEN) & np.isfinite(track.keypoints).all(-1)
    if reason := why_not_pixels(track.keypoints[visible], track.width, track.height):
        raise UserError(f"{name}: keypoints {reason}")


def _lift(lifter: LoadedLifter, batch: list[_Prepared]) -> Iterator[tuple[TrackInfo, LiftedTrack | str]]:
    lifted = lift(lifter.model, [prepared.inputs for prepared in batch], flip=lifter.flip)
    for prepared, (pose, trajectory) in zip(batch, lifted, strict=True):
        if pose.isfinite().all() and (trajectory is None or trajectory.isfinite().all()):
            yield prepared.info, _finish(lifter, prepared, (pose, trajectory))
        else:
            yield prepared.info, f"track {prepared.info.track_id}: the lifter predicts numbers that are not finite"


def _finish(lifter: LoadedLifter, prepared: _Prepared, prediction: Lifted) -> LiftedTrack:
    """The result at the track's own times, measured against its own keypoints."""
    info, track, at_rate, _ = prepared
    times = frame_times(track.track_id, track.timestamps_s, track.fps)
    positions, trajectory = (None if part is None else _at(part, at_rate, times) for part in prediction)
    assert positions is not None
    provenance: TrajectoryProvenance = "none" if trajectory is None else "predicted"
    if lifter.card.input == "person_centred":
        track = _with_intrinsics(track)
        positions, trajectory, provenance = _fit(lifter, track, times, positions, trajectory)
    if lifter.stature_m is not None:
        scale = lifter.stature_m / _standing_height_m(positions, lifter.card)
        positions, trajectory = (None if part is None else part * scale for part in (positions, trajectory))
        assert positions is not None
    reprojection_px, compared = _reprojection(lifter.card, track, positions, trajectory)
    same = ("track_id", "video", "subject", "action", "camera", "person", "width", "height", "fps", "start_frame")
    lifted = LiftedTrack(
        **{name: getattr(track, name) for name in same},
        source=info.file.rsplit("/", 1)[1],
        model=lifter.name,
        model_sha256=lifter.sha256,
        layout=lifter.card.output_layout,
        timestamps_s=times,
        positions=positions.numpy(),
        trajectory=None if trajectory is None else trajectory[:, 0].numpy(),
        interpolated=track.interpolated,
        keypoint_score=track.scores[:, : len(without_feet(layout(track.layout)))].mean(axis=1, dtype=np.float32),
        reprojection_px=None if reprojection_px is None else reprojection_px.numpy(),
        reprojection=compared,
        bone_length_deviation=quality.bone_length_deviations(
            positions, layout(lifter.card.output_layout).bones
        ).numpy(),
        intrinsics=track.intrinsics,
        intrinsics_provenance=track.intrinsics_provenance,
        trajectory_provenance=provenance,
        joint_scores=joint_scores(
            track.scores, layout(track.layout), layout(lifter.card.input_layout), layout(lifter.card.output_layout)
        ),
    )
    extended = lifted_layout(lifter.card, track.layout)
    return lifted if extended == lifted.layout else add_feet(lifted, track, extended)


def _with_intrinsics(track: KeypointTrack) -> KeypointTrack:
    """A track whose unknown intrinsics are those that its rays were made with."""
    if track.intrinsics is not None:
        return track
    assumed = rays.assumed_intrinsics(track.width, track.height)
    return replace(track, intrinsics=assumed, intrinsics_provenance="assumed_fov")


def _fit(
    lifter: LoadedLifter,
    track: KeypointTrack,
    times: Float64[np.ndarray, " frames"],
    positions: Float[torch.Tensor, "frames joints 3"],
    trajectory: Float[torch.Tensor, "frames 1 3"] | None,
) -> tuple[Float[torch.Tensor, "frames joints 3"], Float[torch.Tensor, "frames 1 3"], TrajectoryProvenance]:
    """Fit a prediction to the keypoints of the whole track: pose and place, or only the place."""
    body, detected = layout(lifter.card.output_layout), layout(track.layout)
    pairs = [pair for pair in shared_joints(body, detected) if body.joints[pair[0]] in LIMBS.joints]
    columns = [column for _, column in pairs]
    errors = lifter.card.detector_errors or DetectorErrorsConfig()
    mapped = torch.tensor(joint_map(body, [body.joints[joint] for joint, _ in pairs], errors), dtype=torch.float32)
    keypoints = torch.from_numpy(track.keypoints[:, columns])
    weights = torch.from_numpy((track.scores[:, columns] > 0).astype(np.float32))
    slopes = rays.slopes(keypoints, track.width, track.height, track.intrinsics)
    observed = refinement.Observed(slopes, weights, mapped, torch.tensor(times))
    if lifter.refine:
        positions, root = refinement.refine(positions, body, observed, lifter.smoothness)
        return positions, root[:, None], "fitted"
    if trajectory is not None:
        return positions, trajectory, "predicted"
    return positions, refinement.place(positions, observed)[:, None], "fitted"


def _standing_height_m(positions: Float[torch.Tensor, "frames joints 3"], card: LifterCard) -> float:
    """The standing height of a person with these bones, m."""
    return Body(positions.numpy(), layout(card.output_layout)).stature() / BONES_PER_HEIGHT


def _at(
    values: Float[torch.Tensor, " predicted *shape"], at_rate: KeypointTrack, times: Float64[np.ndarray, " frames"]
) -> Float[torch.Tensor, " frames *shape"]:
    known = frame_times(at_rate.track_id, at_rate.timestamps_s, at_rate.fps)
    if len(known) == len(times) and (known == times).all():
        return values
    return torch.from_numpy(at_times(values.numpy(), known, times))


def _reprojection(
    card: LifterCard,
    track: KeypointTrack,
    positions: Float[torch.Tensor, "frames joints 3"],
    trajectory: Float[torch.Tensor, "frames 1 3"] | None,
) -> tuple[Float[torch.Tensor, " frames"] | None, Reprojection]:
    """Distance in px between the joints that both layouts share and the keypoints, and how it was measured."""
    read = set(layout(card.input_layout).joints)
    body, detected = layout(card.output_layout), layout(track.layout)
    shared = [pair for pair in shared_joints(body, detected) if body.joints[pair[0]] in read]
    if len(shared) < quality.LEAST_SHARED_JOINTS:
        return None, "none"
    predicted, observed = (list(indices) for indices in zip(*shared, strict=True))
    keypoints = cameras.to_screen(torch.from_numpy(track.keypoints[:, observed]), track.width, track.height)
    px_per_screen = track.width / 2
    if trajectory is None or track.intrinsics is None:
        return quality.reprojection_orthographic(positions[:, predicted], keypoints) * px_per_screen, "orthographic"
    camera = cameras.camera_vector(track.intrinsics, track.width, track.height)
    joints = positions[:, predicted] + trajectory
    return quality.reprojection_perspective(joints, keypoints, camera) * px_per_screen, "perspective"
