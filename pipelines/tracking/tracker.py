"""Tracking: the people found in each frame of a video become tracks, one per person.

Built from published parts: a Kalman filter per person (`tracking/kalman.py`), similarity of boxes and keypoints
(`tracking/association.py`), two matching passes so that weak detections continue tracks but start none (ByteTrack,
Zhang et al. 2022), and, after a gap, a filter update along the straight line across it (OC-SORT, Cao et al. 2023). The
result does not depend on the order of the people within a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from pipelines.pose.oks import oks_sigmas
from pipelines.pose.people import People
from pipelines.tracking import kalman
from pipelines.tracking.association import match, similarity
from pipelines.tracking.side_swaps import repair_swaps
from pipelines.tracking.tracks import Frame, Timeline, Track, lay_out
from schemas.configs.link import LinkConfig
from schemas.layouts import JointLayout, without_feet

# Durations that differ by less than this, s, count as equal, because timestamps may be rounded to milliseconds (in
# Matroska).
_CLOCK_S = 1e-3


@dataclass(frozen=True)
class _Observation:
    """A person found in a frame: a row of its people."""

    frame: Frame
    row: int


@dataclass
class _Candidate:
    """A person being tracked, who becomes a track once observed often and long enough.

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
    config = _fitted_to(timeline, config)
    tracks = [
        _track(candidate.observations, timeline, layout if config.repair_swaps else None)
        for candidate in _follow(frames, layout, config)
        if len(candidate.observations) >= config.min_observations
    ]
    return [track for track in tracks if np.ptp(track.timestamps_s) > config.min_track_s - _CLOCK_S]


def _fitted_to(timeline: Timeline, config: LinkConfig) -> LinkConfig:
    """The options for a video that may be shorter than a track must be: half of the video is then enough."""
    frames = len(timeline.indices)
    if not frames:
        return config
    shortest = min(config.min_track_s, float(np.ptp(timeline.timestamps_s)) / 2)
    return config.model_copy(
        update={"min_track_s": shortest, "min_observations": min(config.min_observations, (frames + 1) // 2)}
    )


def _follow(frames: Sequence[Frame], layout: JointLayout, config: LinkConfig) -> list[_Candidate]:
    """All candidates, by first appearance."""
    # Feet that are only carried along come last; they take no part.
    sigmas = oks_sigmas(without_feet(layout))
    everybody: list[_Candidate] = []
    alive: list[_Candidate] = []
    for shuffled in frames:
        if not alive and not len(shuffled.people):
            continue
        frame = replace(shuffled, people=_in_canonical_order(shuffled.people))
        oldest_s = frame.timestamp_s - config.max_gap_s - _CLOCK_S
        alive = [c for c in alive if c.last.frame.timestamp_s > oldest_s and c.last.frame.shot == frame.shot]
        pairs = _associate(alive, frame, sigmas, config)
        for position, candidate in enumerate(alive):
            if position in pairs:
                _prolong(candidate, _Observation(frame, pairs[position]))
            else:
                candidate.missed_s.append(frame.timestamp_s)
        unmatched = set(np.flatnonzero(frame.people.scores >= config.high_score).tolist()) - set(pairs.values())
        new = [
            _Candidate(kalman.start(_place(first)), [first])
            for first in (_Observation(frame, row) for row in sorted(unmatched))
        ]
        everybody += new
        alive += new
    return everybody


def _in_canonical_order(people: People) -> People:
    """The same people, higher scores first, in an order that does not depend on the given one."""
    if len(people) < 2:
        return people
    # np.lexsort sorts by its last key first: by score, then by box, then by keypoints.
    order = np.lexsort([*people.keypoints.reshape(len(people), -1).T, *people.boxes.T, -people.scores])
    return People(people.boxes[order], people.scores[order], people.keypoints[order], people.keypoint_scores[order])


def _associate(
    alive: list[_Candidate], frame: Frame, sigmas: Float[np.ndarray, " joints"], config: LinkConfig
) -> dict[int, int]:
    """Position in `alive` -> row of the frame's people, for every candidate that has a match."""
    if not alive or not len(frame.people):
        return {}
    alike = _similarity(alive, frame, sigmas, config)
    scores = frame.people.scores
    strong = np.flatnonzero(scores >= config.high_score)
    weak = np.flatnonzero((scores >= config.low_score) & (scores < config.high_score))
    pairs = _match_among(alike, list(range(len(alive))), strong.tolist(), config.min_similarity)
    # Weak detections only continue confirmed candidates: they are often noise, but noise rarely repeats in one place.
    left = [i for i, c in enumerate(alive) if i not in pairs and len(c.observations) >= config.min_observations]
    return pairs | _match_among(alike, left, weak.tolist(), config.min_similarity)


def _match_among(
    alike: Float[np.ndarray, "tracks people"], positions: list[int], rows: list[int], minimum: float
) -> dict[int, int]:
    matched = match(alike[np.ix_(positions, rows)], minimum)
    return {positions[i]: rows[j] for i, j in matched}


def _similarity(
    alive: list[_Candidate], frame: Frame, sigmas: Float[np.ndarray, " joints"], config: LinkConfig
) -> Float[np.ndarray, "tracks people"]:
    """Similarity of each candidate, moved to where it is expected now, to each person of the frame."""
    elapsed_s = [frame.timestamp_s - candidate.last.frame.timestamp_s for candidate in alive]
    places = [kalman.predict(c.motion, elapsed) for c, elapsed in zip(alive, elapsed_s, strict=True)]
    # Keypoints are not filtered; the last observed ones are shifted along with the box.
    shifts = [
        [[c.motion[0].rate * elapsed, c.motion[1].rate * elapsed]] for c, elapsed in zip(alive, elapsed_s, strict=True)
    ]
    observed = [(candidate.last.frame.people, candidate.last.row) for candidate in alive]
    compared = slice(len(sigmas))
    return similarity(
        kalman.boxes_of(np.array(places)),
        np.array([people.keypoints[row, compared] for people, row in observed]) + shifts,
        np.array([people.keypoint_scores[row, compared] for people, row in observed]) > config.visible_score,
        frame.people.boxes,
        frame.people.keypoints[:, compared],
        sigmas,
        config.oks_weight,
    )


def _place(observation: _Observation) -> list[float]:
    return kalman.place_of(observation.frame.people.boxes[observation.row].tolist())


def _prolong(candidate: _Candidate, new: _Observation) -> None:
    last = candidate.last
    moments_s = [last.frame.timestamp_s, *candidate.missed_s, new.frame.timestamp_s]
    candidate.motion = kalman.observe(candidate.motion, _place(last), _place(new), moments_s)
    candidate.observations.append(new)
    candidate.missed_s.clear()


def _track(observations: list[_Observation], timeline: Timeline, repair_layout: JointLayout | None) -> Track:
    """One person's track; with a layout, sides that the detector had exchanged are corrected."""
    rows = [(observation.frame.people, observation.row) for observation in observations]
    person = People(
        np.array([people.boxes[row] for people, row in rows]),
        np.array([people.scores[row] for people, row in rows]),
        np.array([people.keypoints[row] for people, row in rows]),
        np.array([people.keypoint_scores[row] for people, row in rows]),
    )
    indices = np.array([observation.frame.index for observation in observations])
    if repair_layout is None:
        return lay_out(indices, person, timeline)
    times_s = np.array([observation.frame.timestamp_s for observation in observations])
    repair = repair_swaps(person, times_s, repair_layout)
    return lay_out(indices, repair.people, timeline, repair.swapped)
