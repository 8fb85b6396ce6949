from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.detectors.persons.base import Boxes
from pipelines.detectors.persons.box_propagation import fill_in, looked_at

FRAME_WH = (1000, 400)
# Its timestamps are exact, and so are middles between them.
FPS = 32
SIZE = (40, 120)

Route = Callable[[float], float]


def boxes(*corners, score=0.5) -> Boxes:
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.full(len(corners), score, np.float32))


def at(*lefts: float | None) -> Boxes:
    """People of one size side by side; their scores say who they are."""
    rows = [(x, 100, x + SIZE[0], 100 + SIZE[1]) for x in lefts if x is not None]
    scores = [0.9 - 0.1 * i for i, x in enumerate(lefts) if x is not None]
    return Boxes(np.array(rows, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def fill(searched: dict[int, Boxes], frames: int, times_s=None, frame_wh=FRAME_WH, most=20) -> list[Boxes]:
    times_s = np.arange(frames) / FPS if times_s is None else np.array(times_s, float)
    return fill_in(searched, times_s, frame_wh, most)


def walk(start: float, px_a_frame: float) -> Route:
    return lambda frame: start + px_a_frame * frame


def followed(frames: int, every: int, *routes: Route) -> list[Boxes]:
    """People on known routes, detected in every n-th frame."""
    return fill({f: at(*(route(f) for route in routes)) for f in looked_at(frames, every)}, frames)


def lefts(people: Boxes) -> dict[float, float]:
    """Left edge of each by score, and so by person."""
    return {round(float(s), 2): float(x) for s, x in zip(people.scores, people.corners[:, 0], strict=True)}


@pytest.mark.parametrize(
    ("frames", "every", "expected"),
    [(0, 1, []), (1, 5, [0]), (5, 1, [0, 1, 2, 3, 4]), (8, 3, [0, 3, 6, 7]), (7, 3, [0, 3, 6])],
)
def test_every_nth_and_the_last_frame_are_searched(frames, every, expected):
    assert looked_at(frames, every) == expected


def test_people_move_evenly_between():
    searched = {0: boxes((0, 0, 20, 40), (60, 0, 80, 40)), 4: boxes((68, 4, 88, 44), (4, 0, 24, 40), score=0.9)}
    filled = fill(searched, 5)
    assert [len(people) for people in filled] == [2] * 5
    np.testing.assert_allclose(filled[1].corners, [[1, 0, 21, 40], [62, 1, 82, 41]])
    np.testing.assert_allclose(filled[3].scores, 0.8, atol=1e-6)
    assert filled[0] is searched[0]
    assert filled[4] is searched[4]


@pytest.mark.parametrize("px_a_frame", [6, -6, 8])
def test_a_fast_walker_is_one_person(px_a_frame):
    # 1.5 widths from look to look, and twice: no box overlaps the one before.
    filled = followed(46, 10, walk(500, px_a_frame))
    for frame, people in enumerate(filled):
        assert lefts(people) == pytest.approx({0.9: 500 + px_a_frame * frame}, abs=0.01)


def test_two_people_who_cross_are_not_exchanged():
    routes = walk(100, 7), walk(520, -5)
    for frame, people in enumerate(followed(61, 10, *routes)):
        assert lefts(people) == pytest.approx({0.9: routes[0](frame), 0.8: routes[1](frame)}, abs=0.01)


@pytest.mark.parametrize("px_a_frame", [0, 3, 8])
def test_a_person_missed_in_one_searched_frame_is_interpolated(px_a_frame):
    searched = {frame: at(100 + px_a_frame * frame, 900) for frame in looked_at(41, 5)}
    searched[20] = boxes((900, 100, 940, 220), score=0.8)
    filled = fill(searched, 41)
    for frame, people in enumerate(filled):
        assert lefts(people) == pytest.approx({0.9: 100 + px_a_frame * frame, 0.8: 900}, abs=0.01)
    # Who was found comes first, as found.
    np.testing.assert_array_equal(filled[20].corners[0], searched[20].corners[0])


def test_a_person_missed_in_two_searched_frames_is_not_interpolated():
    searched = {frame: at(100) for frame in looked_at(31, 5)} | {10: boxes(), 15: boxes()}
    assert [f for f, people in enumerate(fill(searched, 31)) if not len(people)] == list(range(8, 18))


def test_a_person_found_in_one_searched_frame_only_lasts_half_way_to_the_next():
    searched = {0: boxes(), 6: at(100), 12: boxes(), 18: boxes()}
    assert [len(people) for people in fill(searched, 19)] == [0] * 4 + [1] * 6 + [0] * 9
    filled = fill({0: boxes((0, 0, 20, 40)), 3: boxes((500, 0, 520, 40)), 4: boxes()}, 5)
    assert [people.corners[:, 0].round(3).tolist() for people in filled] == [[0], [0], [500], [500], []]


def test_people_who_enter_or_leave_keep_their_velocity_between_searched_frames():
    # In view from the look at frame 10 to that at 30, six pixels a frame.
    searched = {frame: at(100 + 6 * frame if 10 <= frame <= 30 else None) for frame in looked_at(41, 10)}
    filled = fill(searched, 41)
    assert [len(people) for people in filled] == [0] * 6 + [1] * 30 + [0] * 5
    for frame in range(6, 36):
        assert lefts(filled[frame])[0.9] == pytest.approx(100 + 6 * frame, abs=4)


def test_a_person_who_leaves_the_frame_ends_at_its_edge():
    searched = {frame: at(x) for frame, x in [(0, 700), (10, 800), (20, 900)]} | {30: boxes()}
    filled = fill(searched, 31, frame_wh=(950, 400))
    assert [float(people.corners[0, 2]) for people in filled[21:25]] == [950] * 4
    # By then they are out of view.
    assert [len(people) for people in filled[25:]] == [0] * 6


def test_variable_frame_rate():
    times_s = np.cumsum(np.random.default_rng(0).choice([0.01, 0.033, 0.1], 41))
    route = walk(100, 150)
    searched = {frame: at(route(times_s[frame])) for frame in looked_at(41, 5)}
    searched[20] = boxes()
    for frame, people in enumerate(fill(searched, 41, times_s)):
        assert lefts(people) == pytest.approx({0.9: route(times_s[frame])}, abs=0.01)


def test_equal_timestamps_are_tolerated():
    searched = {frame: at(100 + frame) for frame in looked_at(10, 3)}
    for people in fill(searched, 10, np.zeros(10)):
        assert 100 <= lefts(people)[0.9] <= 109


def test_timestamps_that_jump_do_not_break_the_propagation():
    # A person who doubles in size, then nothing for eleven days.
    times_s = [0, 0.1, 0.2, 0.3, 0.4, 1e6, 1e6 + 0.1]
    searched = {0: boxes((100, 100, 140, 220)), 2: boxes((90, 70, 170, 310)), 4: at(100), 6: at(100)}
    filled = fill(searched, 7, times_s)
    assert [len(people) for people in filled] == [1] * 7
    assert all(np.isfinite(people.corners).all() for people in filled)


def test_the_last_frames():
    # Looks at 0, 5, 10, 12: the last one comes early.
    filled = followed(13, 5, walk(100, 8))
    assert [round(lefts(people)[0.9]) for people in filled] == [100 + 8 * frame for frame in range(13)]
    assert [len(people) for people in fill({0: at(100)}, 1)] == [1]
    assert fill({}, 0) == []


def test_boxes_are_unchanged_if_every_frame_is_searched():
    searched = {0: at(100), 1: boxes(), 2: at(104), 3: at(106, 300)}
    for people, expected in zip(fill(searched, 4, most=1), searched.values(), strict=True):
        assert people is expected


def test_no_people_between_frames_without_people():
    assert [len(people) for people in fill({0: boxes(), 2: boxes()}, 3)] == [0, 0, 0]


def test_no_more_people_than_a_frame_may_have():
    searched = {0: at(100, 300, 500), 2: at(100, 300), 4: at(100, 300, 500)}
    assert [len(people) for people in fill(searched, 5, most=3)] == [3] * 5
    filled = fill(searched, 5, most=2)
    assert [len(people) for people in filled] == [3, 2, 2, 2, 3]
    np.testing.assert_allclose(filled[1].scores, [0.9, 0.8])


# Frames, `every` and a seed.
CLIPS = st.tuples(st.integers(1, 25), st.integers(1, 9), st.integers(0, 2**32 - 1))


def anything(frames: int, every: int, seed: int) -> tuple[dict[int, Boxes], np.ndarray]:
    """People found anywhere, five in a frame at most, and when frames are shown."""
    generator = np.random.default_rng(seed)
    searched = {}
    for frame in looked_at(frames, every):
        count = generator.integers(0, 6)
        corners = generator.uniform(0, (800, 200), (count, 2))
        sizes = generator.uniform(4, 200, (count, 2))
        # Few scores, so that some are equal.
        scores = generator.choice([0.3, 0.6, 0.9], count).astype(np.float32)
        searched[frame] = Boxes(np.concatenate([corners, corners + sizes], 1).astype(np.float32), scores)
    # Sums of these are exact, and so are they some seconds later.
    return searched, np.cumsum(generator.choice([0.0, 1 / 64, 0.25], frames))


@settings(max_examples=60, deadline=None)
@given(clip=CLIPS)
def test_boxes_lie_in_the_frame_and_detected_ones_are_unchanged(clip):
    searched, times_s = anything(*clip)
    filled = fill_in(searched, times_s, FRAME_WH, 5)
    assert len(filled) == len(times_s)
    for frame, people in enumerate(filled):
        corners = people.corners
        assert corners.dtype == people.scores.dtype == np.float32
        assert (corners >= 0).all()
        assert (corners <= FRAME_WH * 2).all()
        assert (corners[:, 2:] > corners[:, :2]).all()
        assert len(people) <= 5
        if frame in searched:
            np.testing.assert_array_equal(corners[: len(searched[frame])], searched[frame].corners)


@settings(max_examples=40, deadline=None)
@given(clip=CLIPS)
def test_the_order_of_people_within_frames_does_not_matter(clip):
    searched, times_s = anything(*clip)
    generator, shuffled = np.random.default_rng(clip[2]), {}
    for frame, people in searched.items():
        order = generator.permutation(len(people))
        shuffled[frame] = Boxes(people.corners[order], people.scores[order])
    both = (fill_in(each, times_s, FRAME_WH, 99) for each in (searched, shuffled))
    for frame, (people, others) in enumerate(zip(*both, strict=True)):
        kept = len(searched.get(frame, []))
        np.testing.assert_array_equal(people.corners[kept:], others.corners[kept:])
        np.testing.assert_array_equal(people.scores[kept:], others.scores[kept:])


@settings(max_examples=40, deadline=None)
@given(clip=CLIPS, power=st.integers(-1, 3), later_s=st.integers(0, 1000))
def test_larger_frames_shown_later_give_larger_boxes(clip, power, later_s):
    searched, times_s = anything(*clip)
    scale = 2.0**power
    # Nobody is cut at the edges, nor less than a pixel: either does not scale.
    larger = {f: Boxes(p.corners * np.float32(scale), p.scores) for f, p in searched.items()}
    wide = (100_000, 100_000)
    people = fill_in(searched, times_s, wide, 99)
    others = fill_in(larger, times_s + later_s, (int(wide[0] * scale), int(wide[1] * scale)), 99)
    for one, other in zip(people, others, strict=True):
        assert len(one) == len(other)
        np.testing.assert_allclose(other.corners, one.corners * scale, atol=0.01 * scale)
