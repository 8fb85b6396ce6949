"""Tracking: the people found in each frame of a video become tracks, one per person.

Built from published parts: a Kalman filter per person (`kalman.py`), similarity of boxes and keypoints
(`association.py`), two matching passes so that weak detections prolong tracks but start none (ByteTrack, Zhang
et al. 2022), and, when somebody is seen again after a gap, a filter re-run along the way actually covered (OC-SORT,
Cao et al. 2023). Deterministic, whatever the order of the people within a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from pipelines.detectors.base import People
from pipelines.label import kalman
from pipelines.label.association import match, similarity
from pipelines.label.tracks import Frame, Timeline, Track, lay_out
from schemas.layouts import JointLayout
from schemas.link import LinkConfig

# Timestamps come rounded, to whole milliseconds in Matroska: durations that differ by less are equal.
_CLOCK_S = 1e-3
# For joints of layouts without sigmas: COCO's for shoulders, near the mean of its limb joints.
_DEFAULT_SIGMA = 0.079


@dataclass(frozen=True)
class _Observation:
    """A person found in a frame."""

    frame: Frame
    person: int

    @property
    def place(self) -> Float[np.ndarray, " 4"]:
        return kalman.place_of(self.frame.people.boxes[self.person])


@dataclass
class _Candidate:
    """Somebody who is followed; a track once observed often and long enough.

    Attributes:
        motion: As of the last observation.
        observations: In order of time.
        missed_s: Timestamps of the frames since the last observation.
    """

    motion: kalman.Motion
    observations: list[_Observation]
    missed_s: list[float] = field(default_factory=list)

    @property
    def last(self) -> _Observation:
        return self.observations[-1]


def track_people(
    frames: Sequence[Frame], timeline: Timeline | None, layout: JointLayout, config: LinkConfig
) -> list[Track]:
    """Join the people of one video's frames into tracks.

    Args:
        frames: The decoded frames in order of time, those without people too; damaged ones may be missing.
        timeline: Every frame of the video, `frames` among them; None if no others are known.
        layout: The joints of the detector that found the people.
        config: The options.

    Returns:
        Tracks by first appearance; of people who appear in the same frame, the one of higher score first.
    """
    timeline = timeline or Timeline.of(frames)
    assert set(timeline.indices.tolist()).issuperset(frame.index for frame in frames)
    tracks = [
        _track(candidate.observations, timeline)
        for candidate in _follow(frames, layout, config)
        if len(candidate.observations) >= config.min_observations
    ]
    return [track for track in tracks if np.ptp(track.timestamps_s) > config.min_track_s - _CLOCK_S]


def _follow(frames: Sequence[Frame], layout: JointLayout, config: LinkConfig) -> list[_Candidate]:
    """Everybody seen, by first appearance."""
    sigmas = np.array(layout.oks_sigmas or (_DEFAULT_SIGMA,) * len(layout))
    everybody: list[_Candidate] = []
    alive: list[_Candidate] = []
    for shuffled in frames:
        frame = Frame(shuffled.index, shuffled.timestamp_s, _in_canonical_order(shuffled.people))
        unseen_s = [frame.timestamp_s - candidate.last.frame.timestamp_s for candidate in alive]
        alive = [c for c, gap_s in zip(alive, unseen_s, strict=True) if gap_s < config.max_gap_s + _CLOCK_S]
        pairs = _associate(alive, frame, sigmas, config)
        for position, candidate in enumerate(alive):
            if position in pairs:
                _observe(candidate, _Observation(frame, pairs[position]))
            else:
                candidate.missed_s.append(frame.timestamp_s)
        strangers = set(np.flatnonzero(frame.people.scores >= config.high_score).tolist()) - set(
            pairs.values()
        )
        new = [_Observation(frame, person) for person in sorted(strangers)]
        born = [_Candidate(kalman.start(observation.place), [observation]) for observation in new]
        everybody += born
        alive += born
    return everybody


def _in_canonical_order(people: People) -> People:
    """The same people in an order that depends on nothing but themselves, higher scores first."""
    if len(people) < 2:
        return people
    # Equal scores are told apart by boxes, equal boxes by keypoints; np.lexsort takes the first key last.
    keys = [*people.keypoints.reshape(len(people), -1).T, *people.boxes.T, -people.scores]
    order = np.lexsort(keys)
    return People(
        people.boxes[order], people.scores[order], people.keypoints[order], people.keypoint_scores[order]
    )


def _associate(
    alive: list[_Candidate], frame: Frame, sigmas: Float[np.ndarray, " joints"], config: LinkConfig
) -> dict[int, int]:
    """Position in `alive` -> row in the frame's people, of everybody who is recognised."""
    if not alive or not len(frame.people):
        return {}
    alike = _similarity(alive, frame, sigmas, config)
    confirmed = np.array([len(candidate.observations) >= config.min_observations for candidate in alive])
    high = frame.people.scores >= config.high_score
    low = (frame.people.scores >= config.low_score) & ~high
    free_tracks, free_people = np.ones(len(alive), bool), np.ones(len(frame.people), bool)
    pairs: dict[int, int] = {}
    for tracks, people in ((confirmed, high), (confirmed, low), (~confirmed, high)):
        rows, columns = np.flatnonzero(tracks & free_tracks), np.flatnonzero(people & free_people)
        for row, column in match(alike[np.ix_(rows, columns)], config.min_similarity):
            pairs[int(rows[row])] = int(columns[column])
        free_tracks[list(pairs)] = free_people[list(pairs.values())] = False
    return pairs


def _similarity(
    alive: list[_Candidate], frame: Frame, sigmas: Float[np.ndarray, " joints"], config: LinkConfig
) -> Float[np.ndarray, "tracks people"]:
    """Of where everybody should be by now to the people of the frame."""
    last = [candidate.last for candidate in alive]
    elapsed_s = np.array([[frame.timestamp_s - seen.frame.timestamp_s] for seen in last])
    moved = np.stack([candidate.motion.rate for candidate in alive]) * elapsed_s
    places = np.stack([candidate.motion.place for candidate in alive]) + moved
    keypoints = np.stack([seen.frame.people.keypoints[seen.person] for seen in last]) + moved[:, None, :2]
    scores = np.stack([seen.frame.people.keypoint_scores[seen.person] for seen in last])
    return similarity(
        kalman.boxes_of(places),
        keypoints,
        scores > config.visible_score,
        frame.people.boxes,
        frame.people.keypoints,
        sigmas,
        config.oks_weight,
    )


def _observe(candidate: _Candidate, observation: _Observation) -> None:
    """Prolong the candidate by an observation.

    The frames missed before it count as observed on the straight line from the last observation: the rate
    then follows from the way covered during the gap, not from what was predicted before it.
    """
    before, place = candidate.last, observation.place
    then_s, now_s = before.frame.timestamp_s, observation.frame.timestamp_s
    motion, motion_s = candidate.motion, then_s
    for missed_s in candidate.missed_s:
        on_line = before.place + (place - before.place) * (missed_s - then_s) / (now_s - then_s)
        motion, motion_s = kalman.update(kalman.predict(motion, missed_s - motion_s), on_line), missed_s
    candidate.motion = kalman.update(kalman.predict(motion, now_s - motion_s), place)
    candidate.observations.append(observation)
    candidate.missed_s.clear()


def _track(observations: list[_Observation], timeline: Timeline) -> Track:
    found = [(observation.frame.people, observation.person) for observation in observations]
    person = People(
        np.stack([people.boxes[row] for people, row in found]),
        np.stack([people.scores[row] for people, row in found]),
        np.stack([people.keypoints[row] for people, row in found]),
        np.stack([people.keypoint_scores[row] for people, row in found]),
    )
    return lay_out(np.array([observation.frame.index for observation in observations]), person, timeline)
