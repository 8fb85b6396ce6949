import numpy as np
import pytest

from pipelines.detectors.persons.base import Boxes, PersonsConfig
from pipelines.detectors.persons.selection import fill_in, looked_at, select


def choose(corners, scores, **options):
    return select(np.array(corners, float), np.array(scores, float), (100, 80), PersonsConfig(**options))


def boxes(*corners, score=0.5):
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.full(len(corners), score, np.float32))


def test_the_best_people_each_once():
    corners = [[0, 0, 10, 20], [30, 0, 40, 20], [30.5, 0, 40, 20], [60, 0, 70, 20]]
    found = choose(corners, [0.5, 0.7, 0.9, 0.1])
    np.testing.assert_allclose(found.corners, [corners[2], corners[0]])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    assert len(choose(corners, [0.5, 0.7, 0.9, 0.1], max_people=1)) == 1
    assert len(choose(corners, [0.5, 0.7, 0.9, 0.1], max_overlap=1)) == 3


def test_boxes_end_at_the_frame_and_without_area_inside_are_nobody():
    corners = [[-10, -10, 50, 200], [150, 10, 190, 60], [20, 20, 20, 60], [np.nan, 0, 10, 10], [50, 50, 40, 40]]
    found = choose(corners, [0.9] * 5)
    np.testing.assert_allclose(found.corners, [[0, 0, 50, 80]])
    assert len(choose(np.zeros((0, 4)), [])) == 0
    assert len(choose([[0, 0, 50, 50]], [np.nan])) == 0


@pytest.mark.parametrize(
    ("frames", "every", "expected"),
    [(0, 1, []), (1, 5, [0]), (5, 1, [0, 1, 2, 3, 4]), (8, 3, [0, 3, 6, 7]), (7, 3, [0, 3, 6])],
)
def test_frames_looked_at(frames, every, expected):
    assert looked_at(frames, every) == expected


def test_people_move_evenly_between():
    found = {0: boxes((0, 0, 20, 40), (60, 0, 80, 40)), 4: boxes((68, 4, 88, 44), (4, 0, 24, 40), score=0.9)}
    filled = fill_in(found, 5)
    assert [len(people) for people in filled] == [2] * 5
    np.testing.assert_allclose(filled[1].corners, [[1, 0, 21, 40], [62, 1, 82, 41]])
    np.testing.assert_allclose(filled[3].scores, 0.8, atol=1e-6)
    assert filled[0] is found[0]
    assert filled[4] is found[4]


def test_somebody_who_comes_or_goes_is_there_half_the_time():
    filled = fill_in({0: boxes((0, 0, 20, 40)), 3: boxes((50, 0, 70, 40)), 4: boxes()}, 5)
    assert [people.corners[:, 0].tolist() for people in filled] == [[0], [0], [50], [50], []]


def test_nobody_between_nobody():
    assert [len(people) for people in fill_in({0: boxes(), 2: boxes()}, 3)] == [0, 0, 0]
