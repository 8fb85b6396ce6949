"""Lifts whole tracks: predicts every frame, with bounded memory for any length.

Tracks are cut into pieces. Each is lifted with the frames around it that its predictions depend on, so that the result
is the same as for the whole track. Beyond the ends of a track its first and last frame repeat (edge padding, Pavllo et
al. 2019). Lifters that take clips get overlapping ones instead (`clips`), and nothing is repeated.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.lifters.clips import clip_batches
from pipelines.lifters.folded import fold
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.supermask import multiplied_out
from schemas.frame_window import FrameWindow
from schemas.layouts import JointLayout

# Short pieces are padded to a power of two of at least this length, so that tracks of all lengths share batches.
_SHORTEST = 16
# From this many frames on, folding the weights saves more time than it takes (a tenth of a second for a large lifter).
_WORTH_FOLDING = 1024

Lifted = tuple[Float[Tensor, "frames joints_out 3"], Float[Tensor, "frames 1 3"] | None]
"""Pose and, if the model predicts it, root trajectory of every frame: metres in camera space."""


class _Piece(NamedTuple):
    """Frames [start, stop) of a track, and the weight of each prediction in the result; None if it is 1."""

    track: int
    start: int
    stop: int
    shares: Tensor | None = None


def lift(
    model: LiftingModel,
    inputs: Sequence[Float[Tensor, "_frames joints_in features"]],
    *,
    flip: bool,
    chunk_frames: int = 4096,
) -> list[Lifted]:
    """Lift tracks, each of its own length, one frame or more.

    Args:
        model: Computes on the device of its weights; set to evaluation mode for the call.
        inputs: Keypoints of each track in screen units, with scores if the model reads them.
        flip: Whether to average with the prediction for the mirror image.
        chunk_frames: Most frames predicted at once; memory grows with it.

    Returns:
        Pose and trajectory of each track, on the CPU.
    """
    lifted = [_zeros(model, len(track)) for track in inputs]
    model = multiplied_out(model)
    with _evaluating(model), torch.inference_mode():
        forward = fold(model) if sum(map(len, inputs)) >= _WORTH_FOLDING else model
        for pieces, frames in _batches([len(track) for track in inputs], chunk_frames, model.pose.window):
            windows = torch.stack([_window(model, inputs[piece.track], piece.start, frames) for piece in pieces])
            for part, predicted in enumerate(predict(model, windows.to(next(model.parameters())), flip, forward)):
                if predicted is not None:
                    _add([lifted[piece.track][part] for piece in pieces], pieces, predicted.float().cpu())
    return lifted


def mirrored(
    points: Float[Tensor, "*batch joints channels"], layout: JointLayout
) -> Float[Tensor, "*batch joints channels"]:
    """The mirror image: x negated, left and right swapped."""
    swapped = points[..., list(layout.mirror), :]
    return torch.cat([-swapped[..., :1], swapped[..., 1:]], dim=-1)


def predict(
    model: LiftingModel,
    windows: Float[Tensor, "batch frames joints_in features"],
    flip: bool,
    forward: Callable[[Tensor], tuple[Tensor, Tensor | None]] | None = None,
) -> tuple[Float[Tensor, "batch frames_out joints_out 3"], Float[Tensor, "batch frames_out 1 3"] | None]:
    """Predict every frame for which the windows contain all frames that the model reads.

    Args:
        model: In evaluation mode.
        windows: Screen units, with scores if the model reads them.
        flip: Whether to average with the prediction for the mirror image.
        forward: Computes what the model computes; None: the model itself.
    """
    forward = forward or model
    pose, trajectory = forward(windows)
    if flip:
        mirror_pose, mirror_trajectory = forward(mirrored(windows, model.pose.input_layout))
        pose = (pose + mirrored(mirror_pose, model.pose.output_layout)) / 2
        if model.trajectory is not None and trajectory is not None and mirror_trajectory is not None:
            trajectory = (trajectory + mirrored(mirror_trajectory, model.trajectory.output_layout)) / 2
    return pose, trajectory


def _add(
    tracks: Sequence[Tensor | None], pieces: Sequence[_Piece], predicted: Float[Tensor, "batch frames _ 3"]
) -> None:
    """Add the predictions of pieces to the results of their tracks."""
    for track, piece, values in zip(tracks, pieces, predicted, strict=True):
        assert track is not None
        values = values[: piece.stop - piece.start]
        track[piece.start : piece.stop] += values if piece.shares is None else values * piece.shares[:, None, None]


def _batches(lengths: Sequence[int], chunk_frames: int, window: FrameWindow) -> Iterator[tuple[list[_Piece], int]]:
    """Pieces to predict together, with the number of frames to predict for each; a short piece has fewer."""
    if window.takes_clips:
        for clips in clip_batches(lengths, window.inputs, chunk_frames):
            yield [_Piece(*clip) for clip in clips], clips[0].stop - clips[0].start
        return
    buckets: defaultdict[int, list[_Piece]] = defaultdict(list)
    for track, length in enumerate(lengths):
        for start in range(0, length, chunk_frames):
            piece = _Piece(track, start, min(start + chunk_frames, length))
            rounded = max(_SHORTEST, 1 << (piece.stop - start - 1).bit_length())
            buckets[min(rounded, chunk_frames)].append(piece)
    for frames, pieces in buckets.items():
        # Memory grows with the frames that are read, and short pieces read many for each frame that they predict.
        together = (chunk_frames + window.context) // (frames + window.context)
        for first in range(0, len(pieces), together):
            yield pieces[first : first + together], frames


def _window(
    model: LiftingModel, track: Float[Tensor, "track_frames joints_in features"], start: int, frames: int
) -> Float[Tensor, "window_frames joints_in features"]:
    """The input for predicting `frames` frames from `start` on; the end frames repeat beyond the track's ends."""
    window = model.pose.window
    rows = torch.arange(frames + window.context, device=track.device) + (start - window.offset)
    return track[rows.clamp(0, len(track) - 1)]


def _zeros(model: LiftingModel, frames: int) -> Lifted:
    pose = torch.zeros(frames, len(model.pose.output_layout), 3)
    return pose, None if model.trajectory is None else torch.zeros(frames, 1, 3)


@contextmanager
def _evaluating(model: LiftingModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
