"""A picture of poses that a lifter makes of a track, for the page of its registered version."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel
from pipelines.sampling.sequences import concatenate
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import resample
from schemas.layouts import JointLayout, layout

# The picture shows this many moments, evenly spread over this many first frames of the track.
_MOMENTS, _FRAMES = 5, 400
_SIZE_INCHES, _DOTS_PER_INCH = (8.0, 3.6), 90
_COLOURS, _MIDDLE, _TRUTH = {"left": "#1f7ae0", "right": "#d2552d"}, "#555555", "#c9c9c9"
# Each view shows this much above and below the root, m.
_REACH_M = 1.1
# The horizontal axes of the two views: as the camera sees it, and from its side. The y axis points down.
_VIEWS = (("from the camera", 0), ("from the side", 2))

Points = Float[np.ndarray, "joints 3"]


def picture(model: LiftingModel, card: LifterCard, tracks: Sequence[TrackInfo], *, flip: bool) -> bytes:
    """A PNG of poses at moments of the longest track, from two sides, with the labels behind them if there are any.

    Args:
        model: The lifter, on the CPU.
        card: Its card.
        tracks: One or more tracks that fit it.
        flip: Whether to average with the prediction for the mirror image.
    """
    (track,) = read_rows([max(tracks, key=lambda each: each.frames)])
    track = resample(_beginning(track), card.fps)
    output = layout(card.output_layout)
    labeled = None if track.positions_layout is None else layout(track.positions_layout)
    sequence = concatenate(
        [track],
        layout=layout(card.input_layout),
        features=3 if model.pose.input_features == 3 else 2,
        positions_layout=labeled,
        lifter_input=card.input,
    )
    ((poses, _),) = lift(model, [sequence.inputs], flip=flip)
    truth = None if sequence.positions is None else sequence.positions.numpy()
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes: Any = figure.subplots(len(_VIEWS), _MOMENTS, squeeze=False)
    for column, frame in enumerate(np.linspace(0, len(poses) - 1, _MOMENTS).astype(int)):
        for row, (name, across) in enumerate(_VIEWS):
            view: Axes = axes[row, column]
            if truth is not None and labeled is not None:
                _draw(view, truth[frame], labeled, across, truth=True)
            _draw(view, poses[frame].numpy(), output, across)
            view.set(xlim=(-_REACH_M, _REACH_M), ylim=(_REACH_M, -_REACH_M), aspect="equal", xticks=[], yticks=[])
            view.set_title(f"{frame / card.fps:.1f} s", fontsize=8) if row == 0 else None
            view.set_ylabel(name, fontsize=8) if column == 0 else None
            for side in view.spines.values():
                side.set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DOTS_PER_INCH)
    return content.getvalue()


def _beginning(track: KeypointTrack) -> KeypointTrack:
    """The first frames of a track: all of its arrays that have a row for each frame are cut."""
    frames = len(track)
    cut = {
        name: value[:_FRAMES]
        for name, value in vars(track).items()
        if isinstance(value, np.ndarray) and len(value) == frames
    }
    return replace(track, **cut)


def _draw(view: Axes, pose: Points, joints: JointLayout, across: int, *, truth: bool = False) -> None:
    roots = [joint for joint, parent in enumerate(joints.parents) if parent < 0]
    about_root = pose - pose[roots].mean(axis=0)
    for child, parent, side in joints.sided_bones:
        colour = _TRUTH if truth else _COLOURS.get(side, _MIDDLE)
        ends = about_root[[child, parent]]
        view.plot(ends[:, across], ends[:, 1], color=colour, linewidth=4 if truth else 1.8, solid_capstyle="round")
