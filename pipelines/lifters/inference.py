"""Whole tracks through a model: every frame predicted, memory bounded for any length.

Tracks are cut into pieces, each with the frames around it that its predictions see; before the first and after the
last frame of a track these repeat (edge padding, Pavllo et al. 2019). So a piece's predictions are those of the whole.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.lifters.model import LiftingModel
from schemas.layouts import JointLayout

# Short pieces are filled up to the next power of two from here on, so that tracks of all lengths share batches.
_SHORTEST = 16

Lifted = tuple[Float[Tensor, "frames joints_out 3"], Float[Tensor, "frames 1 3"] | None]
"""Pose and root trajectory of every frame, metres in camera space."""


class _Piece(NamedTuple):
    """Frames [start, stop) of a track."""

    track: int
    start: int
    stop: int


def lift(
    model: LiftingModel,
    inputs: Sequence[Float[Tensor, "_frames joints_in features"]],
    *,
    flip: bool,
    chunk_frames: int = 4096,
) -> list[Lifted]:
    """Lift tracks, each of its own length, one frame or more.

    Args:
        model: Runs where its weights are, in evaluation mode; its mode is put back afterwards.
        inputs: Keypoints of each track in screen units, with scores if the model reads them.
        flip: Lift the mirror image too, and average.
        chunk_frames: Most frames predicted at once: memory grows with it.

    Returns:
        Pose and trajectory of each track, on the CPU.
    """
    lifted = [_empty(model, len(track)) for track in inputs]
    with _evaluating(model), torch.inference_mode():
        for pieces, frames in _batches([len(track) for track in inputs], chunk_frames, model.pose.receptive_field):
            windows = torch.stack([_window(model, inputs[piece.track], piece.start, frames) for piece in pieces])
            poses, trajectories = predict(model, windows.to(next(model.parameters())), flip)
            for i, (track, start, stop) in enumerate(pieces):
                pose, trajectory = lifted[track]
                pose[start:stop] = poses[i, : stop - start]
                if trajectory is not None and trajectories is not None:
                    trajectory[start:stop] = trajectories[i, : stop - start]
    return lifted


def mirrored(
    points: Float[Tensor, "*batch joints channels"], layout: JointLayout
) -> Float[Tensor, "*batch joints channels"]:
    """The mirror image: x negated, left and right swapped."""
    swapped = points[..., list(layout.mirror), :]
    return torch.cat([-swapped[..., :1], swapped[..., 1:]], dim=-1)


def predict(
    model: LiftingModel, windows: Float[Tensor, "batch frames joints_in features"], flip: bool
) -> tuple[Float[Tensor, "batch frames_out joints_out 3"], Float[Tensor, "batch frames_out 1 3"] | None]:
    """Predict every frame of windows that `receptive_field` allows, as `lift` does it.

    Args:
        model: In evaluation mode.
        windows: Screen units, with scores if the model reads them.
        flip: Lift the mirror image too, and average.
    """
    pose, trajectory = model(windows)
    if flip:
        mirror_pose, mirror_trajectory = model(mirrored(windows, model.pose.input_layout))
        pose = (pose + mirrored(mirror_pose, model.pose.output_layout)) / 2
        if model.trajectory is not None:
            trajectory = (trajectory + mirrored(mirror_trajectory, model.trajectory.output_layout)) / 2
    return pose, trajectory


def _batches(lengths: Sequence[int], chunk_frames: int, receptive_field: int) -> Iterator[tuple[list[_Piece], int]]:
    """Pieces that are predicted together, with the frames to predict of each, which may be more than it has."""
    buckets: defaultdict[int, list[_Piece]] = defaultdict(list)
    for track, length in enumerate(lengths):
        for start in range(0, length, chunk_frames):
            piece = _Piece(track, start, min(start + chunk_frames, length))
            rounded = max(_SHORTEST, 1 << (piece.stop - start - 1).bit_length())
            buckets[min(rounded, chunk_frames)].append(piece)
    for frames, pieces in buckets.items():
        # Memory goes with the frames read, of which short pieces have many per frame predicted.
        together = (chunk_frames + receptive_field - 1) // (frames + receptive_field - 1)
        for first in range(0, len(pieces), together):
            yield pieces[first : first + together], frames


def _window(
    model: LiftingModel, track: Float[Tensor, "track_frames joints_in features"], start: int, frames: int
) -> Float[Tensor, "window_frames joints_in features"]:
    """What the predictions of `frames` frames from `start` on see; beyond its ends the track repeats its end frames."""
    seen = model.pose.receptive_field - 1
    before = seen if model.pose.causal else seen // 2
    wanted = torch.arange(start - before, start - before + frames + seen, device=track.device)
    return track[wanted.clamp(0, len(track) - 1)]


def _empty(model: LiftingModel, frames: int) -> Lifted:
    pose = torch.empty(frames, len(model.pose.output_layout), 3)
    return pose, None if model.trajectory is None else torch.empty(frames, 1, 3)


@contextmanager
def _evaluating(model: LiftingModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
