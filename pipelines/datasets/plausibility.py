"""Whether labeled tracks can be real people in front of a camera: one check for every source of poses.

A file in another unit, with another axis up, mirrored, of other joints or with the cameras of another world is as
readable as any other. But its people are impossible: they are 750 m tall, their heads are at their feet, their
knees bend backward, or they stand behind the camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool

from pipelines.datasets.body_measures import Body, median
from pipelines.datasets.pose_source import digest
from pipelines.datasets.reprojection import Reprojection
from pipelines.datasets.world import STATURE_M
from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import take
from pipelines.tracks.stretches import stretches
from schemas.errors import UserError
from schemas.layouts import layout

# At most this many frames of each track are checked, evenly spaced.
FRAMES = 200
# Limbs may vary in length by at most this, as `Body.limb_spread` measures it; recordings of people vary less.
MOST_SPREAD = 0.25
# Left and right are only checked with at least this many bent knees, of which at least this share must bend forward.
BENT_KNEES, FORWARD = 50, 0.5
# At least this share of the frames must pass a check.
MOST = 0.5
# A body points in one direction if its mean vector from ankles to head is longer than this share of the stature.
ONE_WAY = 0.7
# That direction is upward if it leans by at most this, radians. People who sneak lean by 60 degrees; if another axis
# points up, it is 90 degrees or more.
LEAN = np.deg2rad(75)
# People may be outside of the picture by this share of its size, and must be at least this far from the camera, m.
REACH, NEAREST_M = 0.5, 0.3
# A frame is bad if a limb differs from its median length by this factor. Bad frames are dropped only if at most this
# share is bad; more of them mean that the file as a whole is wrong.
JUMP, RARE = 2.0, 0.2
# If a take's person is taller or smaller than in the others by this factor, the take is in another unit.
TAKE = 2.0
# People move more slowly than this in most frames, m/s; sprinters reach 12.4.
FASTEST_M_S = 15.0
# At least this share of a video's keypoints must be known.
LEAST_KNOWN = 0.05
# A message names at most this many people or videos.
_NAMED = 5
FIX = "correct the source, or give source.check=false to import it as it is"


@dataclass
class _Person:
    """Measures of the tracks of a subject: one value for each track, or for each frame."""

    statures: dict[str, list[float]] = field(default_factory=dict)  # by take
    spreads: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)  # m/s
    knees: list[Bool[np.ndarray, " bent"]] = field(default_factory=list)
    shoulders: list[Bool[np.ndarray, " known"]] = field(default_factory=list)
    upright: list[bool] = field(default_factory=list)  # of the tracks in which the body points one way all the time


class Plausibility:
    """The check of all tracks of a source: `add` each, then `verdict`.

    Args:
        from_pictures: Whether the keypoints were found in pictures, so that they may be of other frames or cameras
            than the positions.
    """

    def __init__(self, from_pictures: bool = True) -> None:
        self._people: dict[str, _Person] = {}
        self._known: dict[str, tuple[int, int]] = {}  # by video: how many keypoints are known, and how many there are
        self._upright: list[Bool[np.ndarray, " known"]] = []
        self._in_reach: list[Bool[np.ndarray, " frames"]] = []
        self._reprojection = Reprojection() if from_pictures else None

    def add(self, track: KeypointTrack) -> None:
        """Measure a track; if it has no positions, only its keypoints are counted."""
        known, every = self._known.get(track.video, (0, 0))
        self._known[track.video] = (known + int(np.count_nonzero(track.scores)), every + track.scores.size)
        if track.positions is None or track.positions_layout is None:
            return
        # Frames are spread over the track, because neighbouring ones show the same posture.
        some = take(track, slice(None, None, 1 + len(track) // FRAMES))
        assert some.positions is not None
        body = Body(some.positions.astype(np.float64), layout(track.positions_layout))
        person = self._people.setdefault(track.subject or "unknown", _Person())
        person.statures.setdefault(track.action or "unknown", []).append(body.stature())
        person.spreads.append(body.limb_spread())
        person.speeds.append(_speed(some))
        person.knees.append(body.knees_bend_forward())
        person.shoulders.append(body.shoulders_like_hips())
        up = np.array([0.0, -1.0, 0.0]) if track.up is None else track.up
        height = body.towards_head() @ up
        mean = np.nanmean(body.towards_head(), axis=0) if np.isfinite(height).any() else np.zeros(3)
        if np.linalg.norm(mean) > ONE_WAY * body.stature():
            person.upright.append(bool(mean @ up > np.cos(LEAN) * np.linalg.norm(mean)))
        self._upright.append(height[np.isfinite(height)] > 0)
        self._in_reach.append(_in_reach(some))
        if self._reprojection is not None:
            self._reprojection.add(track)

    def verdict(self) -> list[str]:
        """Warnings about single tracks, a line each.

        Raises:
            UserError: The source cannot be of real people; a line for each reason, with its numbers.
        """
        wrong = [line for name, person in self._people.items() for line in _wrong(name, person)]
        if empty := [video for video, (known, every) in self._known.items() if known < LEAST_KNOWN * every]:
            wrong.append(
                f"fewer than {LEAST_KNOWN:.0%} of the keypoints of {_listed(empty)} are known, the others are "
                "(0, 0) or not finite"
            )
        if (upright := _share(self._upright)) < MOST:
            wrong.append(
                f"heads are above ankles in {upright:.0%} of the frames, at least {MOST:.0%} are expected; another "
                "axis points up: give source.up"
            )
        elif turned := [name for name, person in self._people.items() if np.mean(person.upright or [1.0]) < MOST]:
            wrong.append(
                f"{_listed(turned)} point sideways or down from the ankles to the head, and the others upward: another "
                "axis of theirs points up"
            )
        if (in_reach := _share(self._in_reach)) < MOST:
            wrong.append(
                f"people are in front of the camera and within reach of its picture in {in_reach:.0%} of the frames, "
                f"at least {MOST:.0%} are expected; positions and cameras are of different worlds or units"
            )
        if self._reprojection is not None:
            wrong += self._reprojection.wrong()
        if wrong:
            raise UserError("\n".join(f"source: {line}; {FIX}" for line in wrong))
        return [*self._unknown_sides(), *(self._reprojection.notes() if self._reprojection is not None else [])]

    def _unknown_sides(self) -> Iterator[str]:
        """A note about people whose left and right cannot be checked, because their knees are hardly ever bent."""
        straight = [name for name, person in self._people.items() if sum(map(len, person.knees)) < BENT_KNEES]
        if straight and len(self._in_reach):
            yield (f"left and right of {_listed(straight)} could not be checked: their knees are hardly ever bent")


def whole_parts(track: KeypointTrack, check: bool = True) -> Iterator[KeypointTrack]:
    """The parts of a track whose frames have all joints; a complete track is returned as it is.

    Args:
        track: A track, whose missing joints are NaN.
        check: Whether frames in which a joint jumps away, or a keypoint is at exactly (0, 0), are left out too.
    """
    if not len(track):
        return
    whole = _whole_frames(track, check)
    for start, stop in stretches(whole):
        part = track if stop - start == len(track) else take(track, slice(start, stop))
        yield part if start == 0 else replace(part, track_id=digest([track.track_id, start]))


def _whole_frames(track: KeypointTrack, check: bool) -> Bool[np.ndarray, " frames"]:
    if track.positions is None or track.positions_layout is None:
        return np.ones(len(track), bool)
    joints = np.concatenate([track.positions.reshape(len(track), -1), track.keypoints.reshape(len(track), -1)], axis=1)
    whole = np.asarray(np.isfinite(joints).all(axis=1))
    if check:
        # Detectors and spreadsheets write joints that they did not find as (0, 0).
        whole &= ~((track.keypoints == 0).all(axis=-1) & (track.scores > 0)).any(axis=-1)
    limbs = Body(track.positions, layout(track.positions_layout)).limbs()
    if check and whole.any() and np.isfinite(limbs[whole]).all():
        ratio = limbs / np.maximum(np.median(limbs[whole], axis=0), 1e-9)
        jumps = np.asarray(((ratio > JUMP) | (ratio < 1 / JUMP)).any(axis=1))
        # If jumps are frequent, no frame is dropped; the check of limb lengths then reports the track.
        if jumps[whole].mean() <= RARE:
            whole &= ~jumps
    return whole


def _wrong(name: str, person: _Person) -> Iterator[str]:
    takes = {take: median(np.array(statures)) for take, statures in person.statures.items()}
    takes = {take: stature for take, stature in takes.items() if np.isfinite(stature)}
    low, high = STATURE_M
    possible = median(np.array([stature for stature in takes.values() if low <= stature <= high]))
    odd = [
        take
        for take, stature in takes.items()
        if not low <= stature <= high or not 1 / TAKE <= stature / possible <= TAKE
    ]
    if odd and np.isfinite(possible):
        yield (
            f"{name} is {takes[odd[0]]:,.4g} m tall from the ankles to the head in {_listed(odd)}, and "
            f"{possible:,.4g} m in the other takes; {low} to {high} m are possible: some takes are in another unit"
        )
    elif odd:
        stature = median(np.array(list(takes.values())))
        yield (
            f"{name} is {stature:,.4g} m tall from the ankles to the head, {low} to {high} m are possible; the "
            "positions are in another unit: give source.unit"
        )
    elif (speed := median(np.array(person.speeds))) > FASTEST_M_S:
        yield (
            f"{name} moves at {speed:,.0f} m/s in most frames, at most {FASTEST_M_S:.0f} m/s are possible; the "
            "positions have other frames per second"
        )
    if (spread := median(np.array(person.spreads))) > MOST_SPREAD:
        yield (
            f"the limbs of {name} change their length by {spread:.0%}, at most {MOST_SPREAD:.0%} are expected; the "
            "joints are in another order, or the positions are no motion capture"
        )
    knees = np.concatenate(person.knees)
    if len(knees) >= BENT_KNEES and knees.mean() < FORWARD:
        yield (
            f"the knees of {name} bend forward in {knees.mean():.0%} of {len(knees):,} frames, at least {FORWARD:.0%} "
            "are expected; left and right are swapped, or the positions are mirrored"
        )
    if (shoulders := _share(person.shoulders)) < MOST:
        yield (
            f"the shoulders of {name} are the same way round as the hips in {shoulders:.0%} of the frames, at least "
            f"{MOST:.0%} are expected; left and right of one of them are swapped"
        )


def _listed(names: list[str]) -> str:
    """The first few names, and the number of the others."""
    more = f" and {len(names) - _NAMED} others" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _share(known: list[Bool[np.ndarray, " _"]]) -> float:
    """The share of true values; 1 where there are none."""
    values = np.concatenate(known) if known else np.empty(0, bool)
    return float(values.mean()) if len(values) else 1.0


def _speed(track: KeypointTrack) -> float:
    """How fast the joints move in most frames, m/s; NaN if there is a single frame."""
    assert track.positions is not None
    steps = np.linalg.norm(np.diff(track.positions.astype(np.float64), axis=0), axis=-1).mean(axis=1)
    return median(steps / np.diff(track.timestamps_s))


def _in_reach(track: KeypointTrack) -> Bool[np.ndarray, " frames"]:
    """For every frame whether the middle of the person is in front of the camera, and in or near its picture."""
    assert track.positions is not None
    middle = track.positions.astype(np.float64).mean(1)
    if track.intrinsics is None:
        return middle[:, 2] > NEAREST_M
    share = project(track.intrinsics, middle) / (track.width, track.height)
    return (middle[:, 2] > NEAREST_M) & ((share > -REACH) & (share < 1 + REACH)).all(-1)
