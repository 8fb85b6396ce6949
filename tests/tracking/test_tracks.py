from dataclasses import replace

import numpy as np
import pytest

from pipelines.pose.people import People
from pipelines.tracking.tracks import Frame, Timeline, lay_out


def people_at(x: list[float]) -> People:
    places = np.array(x, np.float32)
    return People(
        boxes=np.stack([places, places, places + 10, places + 20], 1),
        scores=np.full(len(x), 0.9, np.float32),
        keypoints=np.repeat(places, 34).reshape(-1, 17, 2),
        keypoint_scores=np.full((len(x), 17), 0.8, np.float32),
    )


TIMELINE = Timeline(np.arange(10, 18), np.array([0, 1, 2, 4, 8, 9, 10, 11]) / 10)


def test_covers_the_timeline_from_first_to_last_observation() -> None:
    track = lay_out(np.array([11, 13, 16]), people_at([5, 6, 7]), TIMELINE)
    assert track.indices.tolist() == [11, 12, 13, 14, 15, 16]
    assert track.timestamps_s.tolist() == [0.1, 0.2, 0.4, 0.8, 0.9, 1.0]
    assert track.interpolated.tolist() == [False, True, False, True, True, False]
    assert len(track) == 6


def test_gaps_are_linear_in_time_not_in_frames() -> None:
    track = lay_out(np.array([11, 13, 16]), people_at([10, 40, 100]), TIMELINE)
    assert track.boxes[:, 0] == pytest.approx([10, 20, 40, 80, 90, 100])
    assert track.keypoints[:, 3, 1] == pytest.approx([10, 20, 40, 80, 90, 100])


def test_what_is_interpolated_has_no_confidence() -> None:
    track = lay_out(np.array([11, 13]), people_at([10, 40]), TIMELINE)
    assert track.box_scores == pytest.approx([0.9, 0, 0.9])
    assert track.keypoint_scores[:, 0] == pytest.approx([0.8, 0, 0.8])


def test_observations_are_kept_to_the_bit() -> None:
    people = people_at(np.random.default_rng(0).uniform(0, 1000, 8).tolist())
    # Timestamps may be equal.
    timeline = replace(TIMELINE, timestamps_s=np.floor(TIMELINE.timestamps_s * 5) / 5)
    track = lay_out(timeline.indices, people, timeline)
    assert np.array_equal(track.keypoints, people.keypoints)
    assert np.array_equal(track.boxes, people.boxes)


def test_a_timeline_of_frames() -> None:
    timeline = Timeline.of([Frame(3, 0.1, People.nobody(17)), Frame(5, 0.2, People.nobody(17))])
    assert timeline.indices.tolist() == [3, 5]
    assert timeline.timestamps_s.tolist() == [0.1, 0.2]
