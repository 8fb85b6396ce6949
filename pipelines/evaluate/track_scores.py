"""Scores of single tracks: they are read one after another and lifted in batches, so that memory stays bounded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.evaluate.compared import compared_layout
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.inference import Lifted, lift
from pipelines.lifters.model import LiftingModel
from pipelines.pose.middles import joints_from, poses_from
from pipelines.pose.protocol import SequenceScore
from pipelines.pose.scoring import Score, View, score_sequence
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import resample
from schemas.errors import UserError
from schemas.layouts import layout

# The name that stands for the subject or action of a track without one.
UNKNOWN = "unknown"
# A batch of several tracks has at most this many frames. A large lifter takes seconds for it on a CPU, so that progress
# stays visible.
BATCH_FRAMES = 8192


@dataclass(frozen=True)
class TrackScore:
    """The score of a track.

    Attributes:
        track_id: Id of the track.
        camera: Its camera; None if unknown.
        labeled: Whether it was compared with labels.
        padded: Whether it is shorter than what the lifter reads, so that its first and last frames were repeated.
        resampled: Whether its frame rate is not the lifter's.
        intrinsics: Provenance of the intrinsics; "none" if there are none.
        score: The score over frames at the lifter's rate.
    """

    track_id: str
    camera: str | None
    labeled: bool
    padded: bool
    resampled: bool
    intrinsics: str
    score: SequenceScore


class _Prepared(NamedTuple):
    """A track at the lifter's rate, and as the lifter's input."""

    track: KeypointTrack
    sequence: Sequences
    resampled: bool


def score_tracks(
    model: LiftingModel, card: LifterCard, tracks: Iterable[KeypointTrack], *, flip: bool
) -> Iterator[TrackScore]:
    """Lift and score tracks, labeled or not; those without frames are left out.

    Args:
        model: The lifter; computes on the device of its weights.
        card: Its card.
        tracks: Read as they are needed, once; one batch of them is in memory at a time.
        flip: Whether to average with the prediction for the mirror image.

    Raises:
        UserError: A track has other layouts, numbers that are not finite or no frame rate; or the lifter predicts
            numbers that are not finite.
    """
    prepared_tracks = (_prepare(track, card, model.pose.input_features) for track in tracks if len(track))
    for batch in _batches(prepared_tracks):
        lifted = lift(model, [prepared.sequence.inputs for prepared in batch], flip=flip)
        for prepared, prediction in zip(batch, lifted, strict=True):
            yield _score(card, prepared, prediction)


def _prepare(recorded: KeypointTrack, card: LifterCard, features: int) -> _Prepared:
    track = resample(recorded, card.fps)
    sequence = concatenate(
        [track],
        layout=layout(card.input_layout),
        features=3 if features == 3 else 2,
        positions_layout=None if track.positions is None else layout(track.positions_layout or card.output_layout),
        lifter_input=card.input,
    )
    return _Prepared(track, sequence, track is not recorded)


def _batches(tracks: Iterable[_Prepared]) -> Iterator[list[_Prepared]]:
    batch: list[_Prepared] = []
    frames = 0
    for prepared in tracks:
        if batch and frames + len(prepared.track) > BATCH_FRAMES:
            yield batch
            batch, frames = [], 0
        batch.append(prepared)
        frames += len(prepared.track)
    if batch:
        yield batch


def _score(card: LifterCard, prepared: _Prepared, prediction: Lifted) -> TrackScore:
    track, sequence, resampled = prepared
    pose, trajectory = prediction
    if not (pose.isfinite().all() and (trajectory is None or trajectory.isfinite().all())):
        raise UserError(f"model: predicts numbers that are not finite for track {track.track_id}; train it again")
    view = None
    # Person-centred keypoints are directions of rays, so their distances are not in pixels.
    if sequence.cameras is not None and card.input == "screen":
        observed = ~torch.tensor(track.interpolated)
        view = View(sequence.layout, sequence.keypoints, observed, sequence.cameras[0], track.width)
    scored = _scored(card, sequence, pose, trajectory, view)
    subject, action = track.subject or UNKNOWN, track.action or UNKNOWN
    return TrackScore(
        track_id=track.track_id,
        camera=track.camera,
        labeled=sequence.positions is not None,
        padded=card.window.repeats_ends_of(len(track)),
        resampled=resampled,
        intrinsics="none" if track.intrinsics is None else track.intrinsics_provenance,
        score=SequenceScore(subject, action, len(track), scored.metrics, scored.per_joint_mm),
    )


def _scored(
    card: LifterCard,
    sequence: Sequences,
    pose: Float[Tensor, "frames joints 3"],
    trajectory: Float[Tensor, "frames 1 3"] | None,
    view: View | None,
) -> Score:
    """The scores in the joints that labels and prediction have in common."""
    predicted, labeled = layout(card.output_layout), sequence.positions_layout
    compared = compared_layout(card, [None if labeled is None else labeled.name])
    positions = sequence.positions
    if compared != predicted:
        if trajectory is not None:
            # The trajectory is moved from the lifter's root to that of the labels.
            to_root = _matrix(joints_from(predicted, compared), pose)[compared.parents.index(-1), None]
            trajectory = trajectory + to_root @ pose
        pose = _matrix(poses_from(predicted, compared), pose) @ pose
    if positions is not None and labeled is not None and compared != labeled:
        positions = _matrix(joints_from(labeled, compared), positions) @ positions
    return score_sequence(compared, pose, trajectory, positions=positions, view=view)


def _matrix(values: np.ndarray | None, like: Tensor) -> Tensor:
    assert values is not None
    return torch.tensor(values, dtype=like.dtype, device=like.device)
