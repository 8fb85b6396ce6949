import numpy as np

from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.persons.selection import select


def choose(corners, scores, **options):
    return select(np.array(corners, float), np.array(scores, float), (100, 80), PersonsConfig(**options))


def test_the_best_people_each_once():
    corners = [[0, 0, 10, 20], [30, 0, 40, 20], [30.5, 0, 40, 20], [60, 0, 70, 20]]
    boxes = choose(corners, [0.5, 0.7, 0.9, 0.1])
    np.testing.assert_allclose(boxes.corners, [corners[2], corners[0]])
    np.testing.assert_allclose(boxes.scores, [0.9, 0.5])
    assert len(choose(corners, [0.5, 0.7, 0.9, 0.1], max_people=1)) == 1
    assert len(choose(corners, [0.5, 0.7, 0.9, 0.1], max_overlap=1)) == 3


def test_boxes_end_at_the_frame_and_without_area_inside_are_nobody():
    corners = [[-10, -10, 50, 200], [150, 10, 190, 60], [20, 20, 20, 60], [np.nan, 0, 10, 10], [50, 50, 40, 40]]
    boxes = choose(corners, [0.9] * 5)
    np.testing.assert_allclose(boxes.corners, [[0, 0, 50, 80]])
    assert len(choose(np.zeros((0, 4)), [])) == 0
    assert len(choose([[0, 0, 50, 50]], [np.nan])) == 0
