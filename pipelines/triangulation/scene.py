"""Reconstructs a scene that several cameras saw: its people and their joints in space.

1. The views are sampled at common times; what their clocks differ by is found from the motion.
2. Tracks of the views are matched to people, and their joints triangulated robustly.
3. In each frame every person takes the track of each view that is nearest to them, and is triangulated again: tracks
   that change from one person to another, exchange left and right, or end and begin anew, do no harm.
4. Short gaps are bridged, and the noise of single frames is taken out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.ndimage import binary_closing

from pipelines.tracks.stretches import stretches
from pipelines.triangulation.bones import with_constant_lengths, without_impossible
from pipelines.triangulation.matching import Person, assign, match
from pipelines.triangulation.robust import Points, triangulate
from pipelines.triangulation.smoothing import smooth
from pipelines.triangulation.sync import offsets_frames
from pipelines.triangulation.views import Sampled, View, sample
from schemas.errors import UserError
from schemas.layouts import JointLayout, joint_indices, layout

LIMBS = layout("limbs12")
# Gaps up to the first time are bridged, s; a chosen track is kept for about the second time at least, s.
_GAP_S, _LASTS_S = 0.4, 0.2
_ROUNDS = 2


@dataclass(frozen=True)
class PersonInSpace:
    """One person over the common times of a scene.

    Attributes:
        raw: What was triangulated.
        positions: World, m, without gaps and noise; NaN where a joint is not known.
        chosen: Which track of each view it is; -1 where none is.
        exchanged: Whether left and right are exchanged in that track.
    """

    raw: Points
    positions: Float64[np.ndarray, "frames joints 3"]
    chosen: Int[np.ndarray, "views frames"]
    exchanged: Bool[np.ndarray, "views frames"]


@dataclass(frozen=True)
class Scene:
    """What several cameras saw together.

    Attributes:
        views: The views.
        offsets_s: What is to be added to each view's times to have the common ones.
        times_s: The common times.
        step_s: Seconds from one of them to the next.
        people: Who was there, the longest seen first.
        notes: What is odd, one line each.
    """

    views: Sequence[View]
    offsets_s: Sequence[float]
    times_s: Float64[np.ndarray, " frames"]
    step_s: float
    people: Sequence[PersonInSpace]
    notes: Sequence[str]


def reconstruct(views: Sequence[View], sync_window_s: float = 0.0) -> Scene:
    """The people of a scene.

    Args:
        views: At least two; the one with most frames keeps its times.
        sync_window_s: The largest offset between clocks that is looked for; 0: clocks agree.

    Raises:
        UserError: Fewer than two views saw anybody, or clocks differ by more.
    """
    views = sorted((view for view in views if view.tracks), key=lambda view: -len(view.times_s))
    if len(views) < 2:
        raise UserError(f"{len(views)} of the views saw anybody; positions need two that saw the same people")
    joints = [_indices(view) for view in views]
    times_s, step_s = _common_times(views)
    sampled = [
        sample(view, joint_columns, times_s, -view.camera.offset_s)
        for view, joint_columns in zip(views, joints, strict=True)
    ]
    offsets_s, notes = [view.camera.offset_s for view in views], []
    if window := round(sync_window_s / step_s):
        shifts_frames, notes = offsets_frames(sampled, window)
        offsets_s = [
            offset_s + shift_frames * step_s for offset_s, shift_frames in zip(offsets_s, shifts_frames, strict=True)
        ]
    sampled = [
        sample(view, joint_columns, times_s, offset)
        for view, joint_columns, offset in zip(views, joints, offsets_s, strict=True)
    ]
    chosen = [_tracks_over_time(person, sampled) for person in match(sampled)]
    if not chosen:
        raise UserError(
            "nobody was seen by two views at once: their rays do not meet; is the calibration that of these videos, "
            "and were they filmed at one time (sync_window_s looks for offsets)?"
        )
    people = _people(sampled, np.stack(chosen), step_s)
    return Scene(views, offsets_s, times_s, step_s, people, notes)


def _indices(view: View) -> list[int]:
    names: JointLayout = layout(view.tracks[0].layout)
    return list(joint_indices(names, LIMBS))


def _common_times(views: Sequence[View]) -> tuple[Float64[np.ndarray, " frames"], float]:
    """Even times that begin with a frame of the first view, over all that two views saw; and their step."""
    reference = views[0].times_s
    step_s = float(np.median(np.diff(reference))) if len(reference) > 1 else 1 / 30
    firsts, lasts = (sorted(view.times_s[at] for view in views) for at in (0, -1))
    begin = np.ceil((firsts[1] - reference[0]) / step_s - 0.01)
    end = np.floor((lasts[-2] - reference[0]) / step_s + 0.01)
    if end < begin:
        raise UserError("no two views were filmed at one time")
    return reference[0] + step_s * np.arange(begin, end + 1), step_s


def _tracks_over_time(person: Person, sampled: Sequence[Sampled]) -> Int[np.ndarray, "views frames"]:
    frames = sampled[0].scores.shape[1]
    chosen = np.full((len(sampled), frames), -1)
    for view, tracks in person.items():
        for track in tracks:
            chosen[view, sampled[view].present[track]] = track
    return chosen


def _people(
    sampled: Sequence[Sampled], chosen: Int[np.ndarray, "people views frames"], step_s: float
) -> list[PersonInSpace]:
    raw = [_triangulated(sampled, person_tracks) for person_tracks in chosen]
    twisted = [np.zeros(view.scores.shape[:2], bool) for view in sampled]
    for _ in range(_ROUNDS):
        positions = np.stack([_smoothed(points, step_s) for points in raw])
        lasts = max(1, round(_LASTS_S / step_s))
        assignments = [assign(view, positions, lasts, LIMBS.mirror) for view in sampled]
        chosen = np.stack([person_tracks for person_tracks, _ in assignments], axis=1)
        sampled = [
            view.exchanged(exchanged, LIMBS.mirror) for view, (_, exchanged) in zip(sampled, assignments, strict=True)
        ]
        twisted = [before ^ exchanged for before, (_, exchanged) in zip(twisted, assignments, strict=True)]
        raw = [_triangulated(sampled, person_tracks) for person_tracks in chosen]
    frames = np.arange(chosen.shape[-1])
    return [
        PersonInSpace(
            points,
            _smoothed(points, step_s),
            person_tracks,
            np.stack(
                [
                    (track_rows >= 0) & view[track_rows, frames]
                    for view, track_rows in zip(twisted, person_tracks, strict=True)
                ]
            ),
        )
        for points, person_tracks in zip(raw, chosen, strict=True)
    ]


def _triangulated(sampled: Sequence[Sampled], chosen: Int[np.ndarray, "views frames"]) -> Points:
    """The joints of a person from the track that was chosen of each view."""
    frames = np.arange(chosen.shape[1])
    picked = [(view, np.maximum(of, 0), of >= 0) for view, of in zip(sampled, chosen, strict=True)]
    points = triangulate(
        [view.camera for view in sampled],
        np.stack([np.where(known[:, None, None], view.keypoints[of, frames], np.nan) for view, of, known in picked]),
        np.stack([np.where(known[:, None, None], view.rays[of, frames], np.nan) for view, of, known in picked]),
        np.stack([np.where(known[:, None], view.scores[of, frames], 0.0) for view, of, known in picked]),
        np.stack([view.heights[of] for view, of, _ in picked]),
    )
    return without_impossible(points, LIMBS)


def _smoothed(points: Points, step_s: float) -> Float64[np.ndarray, "frames joints 3"]:
    """Positions without noise and short gaps; NaN in long ones."""
    known = points.views > 0
    paths = np.full_like(points.positions, np.nan)
    for joint in range(known.shape[1]):
        bridged = _bridged(known[:, joint], max(1, round(_GAP_S / step_s)))
        for first, stop in stretches(bridged):
            at = slice(first, stop)
            weights = np.where(known[at, joint], np.maximum(points.views[at, joint] - 1, 0) / 2, 0.0)
            paths[at, joint] = smooth(points.positions[at, joint], weights, step_s)
    return with_constant_lengths(paths, LIMBS)


def _bridged(known: Bool[np.ndarray, " frames"], gap: int) -> Bool[np.ndarray, " frames"]:
    padded = np.pad(known, gap)
    return binary_closing(padded, np.ones(gap + 1))[gap:-gap] | known
