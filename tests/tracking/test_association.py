import numpy as np
import pytest

from pipelines.tracking.association import iou, likelihood, match, similarity

BOX = np.array([[0.0, 0.0, 100.0, 200.0]])
SIGMAS = np.full(17, 0.07)


def test_iou_of_known_boxes() -> None:
    others = np.array([[0, 0, 100, 200], [50, 0, 150, 200], [200, 0, 300, 200], [25, 50, 75, 150]], float)
    assert iou(BOX, others)[0] == pytest.approx([1, 1 / 3, 0, 1 / 4])


def test_likelihood_counts_deviations_in_the_longer_side() -> None:
    # Somebody 50 px wide and 200 px high, who may be off by a tenth of that height, and by a fifth in log size.
    expected, variances = np.array([[100, 100, *np.log([50, 200])]]), np.array([[0.01, 0.01, 0.04, 0.04]])
    places = expected + np.array([[0, 0, 0, 0], [20, 0, 0, 0], [0, -40, 0, 0], [20, 20, 0.2, -0.2]])
    assert likelihood(expected, variances, places)[0] == pytest.approx(np.exp([0, -0.5, -2, -2]))
    assert likelihood(expected, 4 * variances, places)[0, 2] == pytest.approx(np.exp(-0.5))
    assert likelihood(expected, variances, places[:0]).shape == (1, 0)


def test_poses_tell_apart_people_in_the_same_box() -> None:
    pose = np.random.default_rng(0).uniform([0, 0], [100, 200], (1, 17, 2))
    people = np.concatenate([pose, pose[:, ::-1]])
    visible = np.ones((1, 17), bool)
    same, other = similarity(BOX, pose, visible, BOX.repeat(2, 0), people, SIGMAS, 0.7)[0]
    assert same == pytest.approx(1)
    assert other < 0.5


def test_people_without_visible_joints_are_matched_by_boxes() -> None:
    pose = np.zeros((1, 17, 2))
    alike = similarity(BOX, pose, np.zeros((1, 17), bool), BOX, pose + 1000, SIGMAS, 1.0)
    assert alike == pytest.approx(1)


def test_match_takes_the_best_sum() -> None:
    assert match(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.2) == [(0, 1), (1, 0)]


def test_a_pair_below_the_minimum_neither_matches_nor_displaces() -> None:
    # Without the minimum, 0.6 + 0.19 would win over 0.7 alone.
    assert match(np.array([[0.7, 0.6], [0.19, 0.0]]), 0.2) == [(0, 0)]


def test_match_of_nobody() -> None:
    assert match(np.zeros((0, 3)), 0.2) == []
    assert match(np.zeros((3, 0)), 0.2) == []
