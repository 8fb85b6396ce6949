"""The tracker: who is followed through dropouts, crossings, gaps and frames of any times."""

import functools
import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking.tracking_samples import (
    ARMS_UP,
    COCO,
    HEIGHT,
    SECOND,
    STANDING,
    THREE_SECONDS,
    Route,
    one_person,
    person,
    together,
    track,
    video,
    walk,
    whom,
    with_scores,
    without,
)

from pipelines.pose.people import People
from pipelines.tracking.tracks import Frame, Timeline, Track
from schemas.layouts import LAYOUTS


def test_one_walking_person_is_one_track_of_all_that_was_found() -> None:
    frames = video(THREE_SECONDS, walk(100, 150))
    (only,) = track(frames)
    assert only.indices.tolist() == list(range(90))
    assert only.timestamps_s.tolist() == THREE_SECONDS
    assert not only.interpolated.any()
    assert np.array_equal(only.keypoints, np.concatenate([frame.people.keypoints for frame in frames]))


def test_nobody_gives_no_tracks() -> None:
    assert track([]) == []
    assert track(video(SECOND)) == []


def test_five_people_are_five_tracks_by_first_appearance() -> None:
    frames = video(THREE_SECONDS, *(walk(100 + 200 * i, 20 * (-1) ** i) for i in range(4)))
    late = with_scores(video(THREE_SECONDS, walk(1200, -30)), 0, 89, 1.0)
    frames = [
        replace(f, people=together([g.people, f.people])) if f.index > 20 else f
        for f, g in zip(frames, late, strict=True)
    ]
    assert [whom(t) for t in track(frames)] == [[0.9], [0.8], [0.7], [0.6], [1.0]]


@pytest.mark.parametrize("fps", [10, 30])
def test_people_who_cross_keep_their_identities(fps: int) -> None:
    times = (np.arange(4 * fps) / fps).tolist()
    frames = video(times, walk(100, 150), walk(700, -150))
    assert [whom(t) for t in track(frames)] == [[0.9], [0.8]]


def meet_and_turn_back(home: float) -> Route:
    return lambda time_s: 400 + (home - 400) * (0.5 + 0.5 * math.cos(2 * math.pi * time_s / 3))


# h36m17 stands for the layouts without sigmas.
@pytest.mark.parametrize("name", ["coco17", "h36m17"])
def test_people_who_meet_in_one_box_are_told_apart_by_their_poses(name: str) -> None:
    frames = video(THREE_SECONDS, meet_and_turn_back(200), meet_and_turn_back(600), poses=[STANDING, ARMS_UP])
    assert [whom(t) for t in track(frames, layout=LAYOUTS[name])] == [[0.9], [0.8]]
    assert [whom(t) for t in track(frames, layout=LAYOUTS[name], oks_weight=0.0)] != [[0.9], [0.8]]


def test_dropouts_are_interpolated_flagged_and_close_to_the_truth() -> None:
    routes = [walk(100, 100), walk(700, -80)]
    full = video(THREE_SECONDS, *routes)
    tracks = track(video(THREE_SECONDS, *routes, drop=0.05))
    assert [whom(t) for t in tracks] == [[0.9], [0.8]]
    for person_index, one in enumerate(tracks):
        truth = np.stack([full[i].people.keypoints[person_index] for i in one.indices])
        error = np.linalg.norm(one.keypoints - truth, axis=-1).mean(-1)
        assert 0 < one.interpolated.sum() < 15
        assert error[~one.interpolated].max() == 0
        assert error[one.interpolated].max() < 0.015 * HEIGHT
        assert not one.keypoint_scores[one.interpolated].any()


def test_a_gap_up_to_max_gap_is_bridged_and_a_longer_one_ends_the_track() -> None:
    frames = video(THREE_SECONDS, walk(100, 150))
    # The last observation is in frame 39; 0.7 s later is frame 60.
    (bridged,) = track(without(frames, 40, 59))
    assert np.flatnonzero(bridged.interpolated).tolist() == list(range(40, 60))
    first, second = track(without(frames, 40, 60))
    assert (first.indices[-1], second.indices[0]) == (39, 61)
    assert not first.interpolated.any()


def test_a_track_has_no_hole_longer_than_max_gap_even_where_no_frame_is_presented() -> None:
    frames = video([*SECOND, *(t + 2.0 for t in SECOND)], lambda time_s: 300)
    assert [len(t) for t in track(frames)] == [30, 30]


@pytest.mark.parametrize("oks_weight", [0.0, 1.0])
def test_somebody_hidden_while_running_is_expected_where_they_run(oks_weight: float) -> None:
    # In 0.4 s a runner leaves their box twice over.
    frames = without(video(THREE_SECONDS, walk(100, 500)), 40, 51)
    assert [len(t) for t in track(frames, oks_weight=oks_weight)] == [90]


def test_short_tracks_are_dropped() -> None:
    frames = video(SECOND, walk(100, 50))
    assert len(track(without(frames, 16, 29))) == 1
    assert track(without(frames, 15, 29)) == []
    assert len(track(without(frames, 15, 29), min_track_s=0.4)) == 1


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_in_a_short_video_half_of_it_is_long_enough(frames: int) -> None:
    clip = video(SECOND[:frames], walk(100, 50))
    assert [len(path) for path in track(clip)] == [frames]
    assert track(without(clip, 0, frames - 1)) == []


def test_somebody_seen_in_too_few_frames_is_noise() -> None:
    frames = video(THREE_SECONDS, walk(100, 0))
    noise = without(without(without(frames, 0, 39), 41, 49), 51, 89)
    assert track(noise, min_track_s=0.0) == []
    assert len(track(noise, min_track_s=0.0, min_observations=2)) == 1


def test_low_scores_prolong_a_track_but_start_none() -> None:
    frames = with_scores(video(THREE_SECONDS, walk(100, 100)), 30, 59, 0.2)
    (only,) = track(frames)
    assert len(only) == 90
    assert not only.interpolated.any()
    assert len(track(frames, low_score=0.3)) == 2
    assert track(with_scores(frames, 0, 89, 0.2)) == []
    assert track(with_scores(frames, 2, 89, 0.2)) == []


def test_a_low_score_does_not_take_a_track_from_a_high_one() -> None:
    frames = video(SECOND, walk(300, 0))
    ghosts = [person(302, f.timestamp_s, 0.3, ARMS_UP) for f in frames]
    (only,) = track([replace(f, people=together([f.people, g])) for f, g in zip(frames, ghosts, strict=True)])
    assert whom(only) == [0.9]


def test_variable_frame_times() -> None:
    generator = np.random.default_rng(3)
    times = np.cumsum(generator.choice([0.01, 0.033, 0.1, 0.15], 60)).tolist()
    full = video(times, walk(100, 200), walk(700, -100))
    first, second = track(video(times, walk(100, 200), walk(700, -100), drop=0.1))
    assert (whom(first), whom(second)) == ([0.9], [0.8])
    truth = np.array([full[i].people.boxes[0] for i in first.indices])
    assert first.interpolated.any()
    assert first.boxes == pytest.approx(truth, abs=0.01)


def test_equal_timestamps_are_tolerated() -> None:
    times = [t for t in SECOND for _ in range(2)]
    (only,) = track(without(video(times, walk(100, 100)), 20, 20))
    assert len(only) == 60


def test_damaged_frames_are_interpolated_where_the_timeline_is_known() -> None:
    full = video(SECOND, walk(100, 100))
    decoded = [f for f in full if not 10 <= f.index <= 14]
    (only,) = track(decoded, Timeline.of(full))
    assert only.indices.tolist() == list(range(30))
    assert np.flatnonzero(only.interpolated).tolist() == [10, 11, 12, 13, 14]
    truth = np.concatenate([f.people.boxes for f in full])
    assert only.boxes == pytest.approx(truth, abs=0.01)
    (unknown,) = track(decoded)
    assert len(unknown) == 25
    assert not unknown.interpolated.any()


@functools.cache
def busy_video() -> list[Frame]:
    routes = [walk(100, 120), walk(700, -120), walk(400, 0), walk(420, 10)]
    return video((np.arange(45) / 15).tolist(), *routes, drop=0.1)


@functools.cache
def busy_tracks() -> list[Track]:
    return track(busy_video())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), same_score=st.booleans())
def test_the_order_of_people_within_frames_does_not_matter(seed: int, same_score: bool) -> None:
    frames = busy_video()
    if same_score:
        frames = with_scores(frames, 0, 99, 0.7)
    generator = np.random.default_rng(seed)
    shuffled = []
    for frame in frames:
        order = generator.permutation(len(frame.people))
        columns = (getattr(frame.people, field.name)[order] for field in fields(People))
        shuffled.append(replace(frame, people=People(*columns)))
    for one, other in zip(track(shuffled), track(frames), strict=True):
        for column in fields(Track):
            assert np.array_equal(getattr(one, column.name), getattr(other, column.name))


@settings(max_examples=10, deadline=None)
@given(
    shift=st.tuples(st.integers(-500, 500), st.integers(-500, 500)),
    power=st.integers(-2, 3),
    later_s=st.floats(0, 1e5),
)
def test_moved_scaled_and_later_detections_give_moved_scaled_and_later_tracks(
    shift: tuple[int, int], power: int, later_s: float
) -> None:
    def change(points: np.ndarray) -> np.ndarray:
        return (points.reshape(-1, 2) * 2.0**power + shift).astype(np.float32).reshape(points.shape)

    changed = []
    for f in busy_video():
        people = replace(f.people, boxes=change(f.people.boxes), keypoints=change(f.people.keypoints))
        changed.append(Frame(f.index, f.timestamp_s + later_s, people))
    tracks, others = busy_tracks(), track(changed)
    assert [whom(t) for t in others] == [whom(t) for t in tracks]
    for one, other in zip(tracks, others, strict=True):
        assert np.array_equal(other.interpolated, one.interpolated)
        assert other.timestamps_s == pytest.approx(one.timestamps_s + later_s)
        assert other.keypoints == pytest.approx(change(one.keypoints), abs=0.01 * 2.0**power + 1e-3)


def test_real_people_who_cross_are_two_tracks(shared_data: Path) -> None:
    reference = json.loads((shared_data / "videos" / "tfjs_pose_1.json").read_text())
    dance = np.array([[[frame[joint]["x"], frame[joint]["y"]] for joint in COCO.joints] for frame in reference])
    # Two who dance, one mirrored and backwards, pass each other at a walk: 300 px apart, then 300 px the other way.
    way = np.linspace([[-150, 0]], [[150, 0]], len(dance))
    mirrored = (dance * [-1, 1] + [576, 0])[::-1, COCO.mirror]
    frames = []
    for i, both in enumerate(zip(dance + way, mirrored - way, strict=True)):
        boxes = [[*(joints.min(0) - 10), *(joints.max(0) + 10)] for joints in both]
        people = [one_person(*one) for one in zip(both, boxes, (0.9, 0.8), strict=True)]
        frames.append(Frame(i, i / 30, together(people)))
    assert [whom(t) for t in track(frames)] == [[0.9], [0.8]]


def test_feet_that_are_carried_along_change_nobody() -> None:
    frames, rng = video(THREE_SECONDS, walk(100, 150), walk(700, -150)), np.random.default_rng(0)

    def with_wild_feet(people: People) -> People:
        feet = rng.uniform(0, 1000, (len(people), 4, 2)).astype(np.float32)
        scores = rng.uniform(0, 1, (len(people), 4)).astype(np.float32)
        joints = np.concatenate([people.keypoints, feet], 1), np.concatenate([people.keypoint_scores, scores], 1)
        return People(people.boxes, people.scores, *joints)

    wild = [replace(frame, people=with_wild_feet(frame.people)) for frame in frames]
    plain, carried = track(frames), track(wild, layout=LAYOUTS["coco21"])
    assert len(plain) == len(carried) == 2
    for one, other in zip(plain, carried, strict=True):
        assert np.array_equal(one.indices, other.indices)
        assert np.array_equal(one.keypoints, other.keypoints[:, :17])
        assert other.keypoints.shape[1] == 21
