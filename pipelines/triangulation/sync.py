"""When the views were filmed relative to each other, from the motion itself: joints meet in space at one time only."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment

from pipelines.triangulation.epipolar import distances_px
from pipelines.triangulation.views import Sampled
from schemas.errors import UserError

# Distances from epipolar lines count at most this share of a person's height.
_CAP = 0.06
# Joints are first averaged over this many frames, because the noise of single frames would favour offsets between two.
_AVERAGED = 5
# This many frames are compared; offsets are first tried by whole frames, then by this share of one.
_COMPARED, _FINE = 240, 0.1
# The distances must rise by at least this over the window, because people who hardly move do not determine the offset.
_LEAST_RISE = 0.002


def offsets_frames(views: Sequence[Sampled], window: int) -> tuple[list[float], list[str]]:
    """What is to be added to the frame numbers of each view to have those of the first, and notes.

    Args:
        views: The views, sampled without offsets; the first is the reference.
        window: The largest offset that is looked for, frames.

    Raises:
        UserError: A view fits best at the edge of the window.
    """
    rays = [_averaged(view) for view in views]
    tried = np.arange(-window, window + 1.0)
    offsets = [0.0] + [np.nan] * (len(views) - 1)
    while missing := [number for number, offset in enumerate(offsets) if np.isnan(offset)]:
        curves = {number: _costs(views, rays, number, offsets, tried) for number in missing}
        # The view whose motion is most informative comes first, because the others are then compared with it too.
        number = max(missing, key=lambda number: _rise(curves[number]))
        if _rise(curves[number]) < _LEAST_RISE:
            break
        offsets[number] = float(tried[int(np.argmin(curves[number]))])
        if abs(offsets[number]) == window:
            raise UserError(
                f"camera {views[number].camera.name}: fits best at the edge of the search window of {window} frames; "
                "it is of another time or another scene, or give a larger sync_window_s"
            )
    _finely(views, rays, offsets)
    names = (view.camera.name for view, offset in zip(views, offsets, strict=True) if np.isnan(offset))
    notes = [f"{name}: people move too little to show its offset; 0 is used" for name in names]
    return np.nan_to_num(offsets).tolist(), notes


def _rise(costs: Float64[np.ndarray, " tried"]) -> float:
    return float(np.median(costs) - costs.min())


def _finely(views: Sequence[Sampled], rays: Sequence[np.ndarray], offsets: list[float]) -> None:
    """Refine known offsets, all but the first, to a fraction of a frame."""
    for number, offset in enumerate(offsets):
        if number == 0 or np.isnan(offset):
            continue
        tried = offset + np.arange(-1.5, 1.5 + _FINE / 2, _FINE)
        costs = _costs(views, rays, number, offsets, tried)
        curve = np.polyfit(tried - tried.mean(), costs, 4)
        fine = np.linspace(tried[0], tried[-1], 601)
        offsets[number] = float(fine[int(np.argmin(np.polyval(curve, fine - tried.mean())))])


def _costs(
    views: Sequence[Sampled],
    rays: Sequence[np.ndarray],
    number: int,
    offsets: Sequence[float],
    tried: Float64[np.ndarray, " tried"],
) -> Float64[np.ndarray, " tried"]:
    """How far a view is from the others, with each offset."""
    frames = np.arange(rays[number].shape[1], dtype=np.float64)
    frames = frames[:: max(1, len(frames) // _COMPARED)]
    costs = np.zeros(len(tried))
    for place, offset in enumerate(tried):
        own = _at(rays[number], frames - offset)
        others = [other for other, at in enumerate(offsets) if other != number and np.isfinite(at)]
        costs[place] = np.mean(
            [_between(views[number], views[o], own, _at(rays[o], frames - offsets[o])) for o in others]
        )
    return costs


def _between(first: Sampled, second: Sampled, rays: np.ndarray, others: np.ndarray) -> float:
    """Mean distance of the people of two views, each with the nearest of the other view."""
    costs = np.full((len(rays), len(others)), _CAP)
    for one, two in np.ndindex(costs.shape):
        known = np.isfinite(rays[one]).all(-1) & np.isfinite(others[two]).all(-1)
        if known.sum() < 20:
            continue
        misses = distances_px(first.camera, second.camera, rays[one][known], others[two][known])
        share = (misses[0] / first.heights[one] + misses[1] / second.heights[two]) / 2
        costs[one, two] = np.minimum(share, _CAP).mean()
    return float(costs[linear_sum_assignment(costs)].mean())


def _averaged(view: Sampled) -> np.ndarray:
    """Rays (tracks, frames, joints, 2) averaged over some frames; NaN where one of these is missing."""
    frames = view.rays.shape[1]
    reach = _AVERAGED // 2
    padded = np.pad(view.rays, ((0, 0), (reach, reach), (0, 0), (0, 0)), constant_values=np.nan)
    return np.mean([padded[:, shift : shift + frames] for shift in range(_AVERAGED)], axis=0)


def _at(rays: np.ndarray, frames: Float64[np.ndarray, " frames"]) -> np.ndarray:
    """Rays between frames; NaN outside."""
    inside = (frames >= 0) & (frames <= rays.shape[1] - 1)
    before = np.clip(np.floor(frames).astype(int), 0, rays.shape[1] - 1)
    after = np.minimum(before + 1, rays.shape[1] - 1)
    share = (frames - before)[None, :, None, None]
    return np.where(inside[None, :, None, None], rays[:, before] + share * (rays[:, after] - rays[:, before]), np.nan)
