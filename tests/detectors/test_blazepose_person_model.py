import numpy as np
import pytest

from pipelines.detectors.blazepose.person_model import Candidates, anchor_centres, decode, merge


def candidate(score: float, x: float, y: float) -> Candidates:
    points = np.array([[[0.0, 0.0], [10.0, 10.0], [5.0, 40.0], [5.0, -10.0]]])
    return Candidates(np.array([score]), points + np.array([x, y]))


def test_anchors_are_cell_centres_of_all_grids() -> None:
    anchors = anchor_centres(224)
    assert anchors.shape == (2254, 2)
    np.testing.assert_array_equal(anchors[[0, 1, 2]], [[4, 4], [4, 4], [12, 4]])
    np.testing.assert_array_equal(anchors[[1567, 1568, 1959, 1960, 2253]][:, 0], [220, 8, 216, 16, 208])
    np.testing.assert_allclose(anchors.mean(0), [112, 112])


def test_decode_keeps_likely_anchors_and_adds_their_centres() -> None:
    anchors = anchor_centres(224)
    places, logits = np.zeros((2254, 12), np.float32), np.full(2254, -100, np.float32)
    places[2] = [1, 2, 10, 20, 3, 4, 5, 6, 0, 0, 0, 0]
    logits[[2, 7]] = [np.log(3), -0.1]
    candidates = decode(places, logits, anchors, 0.5)
    assert candidates.scores == pytest.approx([0.75])
    np.testing.assert_allclose(candidates.points, [[[8, -4], [18, 16], [15, 8], [17, 10]]])


def test_decode_of_nothing() -> None:
    candidates = decode(np.zeros((2254, 12), np.float32), np.full(2254, -9, np.float32), anchor_centres(224), 0.5)
    assert candidates.points.shape == (0, 4, 2)


def test_merge_averages_overlapping_faces_by_score() -> None:
    merged = merge([candidate(0.6, 2, 0), candidate(0.9, 0, 0)])
    assert merged.scores.tolist() == [0.9]
    np.testing.assert_allclose(merged.points[0, 0], [2 * 0.6 / 1.5, 0])


def test_merge_keeps_people_apart_best_first() -> None:
    merged = merge([candidate(0.6, 100, 0), candidate(0.9, 0, 0)])
    assert merged.scores.tolist() == [0.9, 0.6]
    assert merged.points[:, 0, 0].tolist() == [0, 100]


def test_merge_of_nothing() -> None:
    nothing = Candidates(np.zeros(0), np.zeros((0, 4, 2)))
    assert merge([nothing, nothing]).points.shape == (0, 4, 2)
