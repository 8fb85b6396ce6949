"""The people of a scene as labeled tracks: one for each camera that saw them, positions in its own space."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int

from pipelines.datasets.pose_source import digest
from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.stretches import stretches
from pipelines.triangulation.scene import LIMBS, PersonInSpace, Scene
from pipelines.triangulation.views import SEEN, View
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import joint_indices, layout

LABELS = layout("limbs14")
# Stretches of whole poses that are shorter than this, s, are of no use to a lifter.
_SHORTEST_S = 0.3
# A frame may lie this far from the nearest common time, in steps; half a step, plus rounding.
_NEAR = 0.501
# The direction in which people stand counts as an axis of the world if the cosine of their angle is at least this.
_UPRIGHT = 0.94


@dataclass(frozen=True)
class Labeled:
    """A labeled track with the quality of its labels.

    Attributes:
        track: The track; its positions are those of `LABELS`.
        residuals_px: How far the keypoints that agree are from the projected joint, median, px; NaN where a gap was
            bridged.
        views: How many views agree; 0 where a gap was bridged.
        seen_at: Where the detector sees the limb joints, camera space, metres.
    """

    track: KeypointTrack
    residuals_px: Float32[np.ndarray, "frames joints"]
    views: Int[np.ndarray, "frames joints"]
    seen_at: Float32[np.ndarray, "frames limbs 3"]

    @property
    def misses_px(self) -> Float64[np.ndarray, " seen"]:
        """Distances of all keypoints that were seen from the projected joints, whether or not they agree, px."""
        track, names = self.track, layout(self.track.layout)
        assert track.intrinsics is not None
        at = list(joint_indices(names, LIMBS))
        away = np.linalg.norm(project(track.intrinsics, self.seen_at) - track.keypoints[:, at], axis=-1)
        return away[track.scores[:, at] >= SEEN]

    def to_row(self) -> dict[str, Any]:
        """The row of the tracks format."""
        quality = {"label_residuals_px": np.ravel(self.residuals_px), "label_views": np.ravel(self.views)}
        return self.track.to_row() | quality


def labeled_tracks(scene: Scene, session: str, errors: DetectorErrorsConfig | None = None) -> Iterator[Labeled]:
    """All tracks of a scene: view by view, each person's stretches of frames in which all joints are known.

    Args:
        scene: The scene.
        session: Its name, which people get who have none.
        errors: Where the detector sees joints, from where motion capture has them; None: at the same places.
    """
    up = _up(scene)
    to_body = None if errors is None else np.linalg.inv(joint_map(LIMBS, LIMBS.joints, errors))
    middles = [_with_middles(person, to_body) for person in scene.people]
    for number, view in enumerate(scene.views):
        for person, (positions, residuals, views) in enumerate(middles):
            of = _own_frames(view, scene, scene.people[person], number)
            if of is None:
                continue
            track, places = of
            world = between(positions, places)
            nearest = np.rint(places).astype(int)
            for first, stop in _stretches(np.asarray(np.isfinite(world).all((1, 2))), _frame_numbers(track)):
                if (stop - first) / max(track.fps, 1e-6) < _SHORTEST_S:
                    continue
                at = slice(first, stop)
                labeled = _labeled(track, at, view, world[at], up, person, session)
                yield Labeled(
                    labeled,
                    residuals[nearest[at]].astype(np.float32),
                    views[nearest[at]].astype(np.int32),
                    view.camera.to_camera(between(scene.people[person].positions, places[at])).astype(np.float32),
                )


def _stretches(whole: np.ndarray, numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, stop) of whole poses whose frames follow each other."""
    for first, stop in stretches(whole):
        cuts = first + 1 + np.flatnonzero(np.diff(numbers[first:stop]) != 1)
        yield from itertools.pairwise([first, *cuts.tolist(), stop])


def _with_middles(
    person: PersonInSpace, to_body: Float64[np.ndarray, "limbs limbs"] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, residuals and views of the joints of `LABELS`; a middle is as good as the worse of its two joints."""
    positions = person.positions if to_body is None else to_body @ person.positions
    limbs = list(LABELS.joints[2:])
    pairs = [[limbs.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "shoulder")]
    middles = np.stack([positions[:, pair].mean(1) for pair in pairs], axis=1)
    residuals = np.stack([person.raw.residuals_px[:, pair].max(1) for pair in pairs], axis=1)
    views = np.stack([person.raw.views[:, pair].min(1) for pair in pairs], axis=1)
    return (
        np.concatenate([middles, positions], axis=1),
        np.concatenate([residuals, person.raw.residuals_px], axis=1),
        np.concatenate([views, person.raw.views], axis=1),
    )


def _own_frames(
    view: View, scene: Scene, person: PersonInSpace, number: int
) -> tuple[KeypointTrack, Float64[np.ndarray, " own"]] | None:
    """The camera's own frames of a person, and their positions among the common times; None if there are none."""
    chosen, exchanged = person.chosen[number], person.exchanged[number]
    parts, places = [], []
    for place, track in enumerate(view.tracks):
        at = (track.timestamps_s + scene.offsets_s[number] - scene.times_s[0]) / scene.step_s
        near = np.clip(np.rint(at).astype(int), 0, len(chosen) - 1)
        kept = (abs(at - near) <= _NEAR) & (chosen[near] == place)
        at = np.clip(at, 0, len(chosen) - 1)
        parts.append((_straight(track, exchanged[near]), kept))
        places.append(at[kept])
    order = np.argsort(np.concatenate(places), kind="stable")
    if not len(order):
        return None
    track = _joined(parts, order)
    # If two tracks show one person at one time, the first is kept.
    numbers = _frame_numbers(track)
    single = np.append(True, np.diff(numbers) > 0)
    return _frames(track, single), np.concatenate(places)[order][single]


def _straight(track: KeypointTrack, exchanged: np.ndarray) -> KeypointTrack:
    """A track in which sides that its detector had exchanged are corrected."""
    mirror = list(layout(track.layout).mirror)
    return replace(
        track,
        keypoints=np.where(exchanged[:, None, None], track.keypoints[:, mirror], track.keypoints),
        scores=np.where(exchanged[:, None], track.scores[:, mirror], track.scores),
    )


def _joined(parts: Sequence[tuple[KeypointTrack, np.ndarray]], order: np.ndarray) -> KeypointTrack:
    """Some frames of several tracks as one."""
    first = next(track for track, kept in parts if kept.any())
    arrays = {name: np.concatenate([getattr(track, name)[kept] for track, kept in parts])[order] for name in _ARRAYS}
    return replace(first, positions=None, **arrays)


_ARRAYS = ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated")


def _frames(track: KeypointTrack, kept: np.ndarray) -> KeypointTrack:
    return replace(track, **{name: getattr(track, name)[kept] for name in _ARRAYS})


def _frame_numbers(track: KeypointTrack) -> np.ndarray:
    """Numbers of frames, by their times; the step is that of most frames."""
    times = track.timestamps_s
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return np.rint((times - times[0]) / max(step, 1e-6)).astype(int)


def _labeled(
    track: KeypointTrack,
    at: slice,
    view: View,
    world: Float64[np.ndarray, "frames joints 3"],
    up: Float64[np.ndarray, " 3"],
    person: int,
    session: str,
) -> KeypointTrack:
    start = round(float(track.timestamps_s[at][0]) * track.fps) if np.isfinite(track.fps) else at.start
    return replace(
        _frames(track, np.arange(len(track))[at]),
        track_id=digest([track.video, "triangulated", session, person, start]),
        subject=track.subject or f"{session} {person + 1}",
        camera=track.camera or view.camera.name,
        person=person,
        start_frame=start,
        intrinsics=view.camera.intrinsics,
        intrinsics_provenance="calibrated",
        positions=view.camera.to_camera(world).astype(np.float32),
        positions_layout=LABELS.name,
        up=(view.camera.rotation @ up).astype(np.float32),
    )


def between(values: Float64[np.ndarray, "frames joints 3"], places: Float64[np.ndarray, " own"]) -> np.ndarray:
    """Values between frames, interpolated linearly; whole-numbered places take exactly one frame."""
    before = np.floor(places + 1e-3).astype(int)
    share = np.clip(places - before, 0, 1)
    after = np.where(share < 1e-3, before, np.minimum(before + 1, len(values) - 1))
    return values[before] + share[:, None, None] * (values[after] - values[before])


def _up(scene: Scene) -> Float64[np.ndarray, " 3"]:
    """The direction away from the ground, from how people stand; an axis of the world if it is near to one."""
    directions = []
    for person in scene.people:
        ends = [
            person.positions[:, [LABELS.joints[2:].index(f"{side}_{part}") for side in ("left", "right")]].mean(1)
            for part in ("ankle", "shoulder")
        ]
        directions.append(ends[1] - ends[0])
    along = np.concatenate(directions)
    mean = np.nanmedian(along / np.linalg.norm(along, axis=1, keepdims=True), axis=0)
    mean = mean / np.linalg.norm(mean)
    axis = int(np.argmax(abs(mean)))
    return np.sign(mean[axis]) * np.eye(3)[axis] if abs(mean[axis]) > _UPRIGHT else mean
