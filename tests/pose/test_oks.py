import numpy as np
import pytest

from pipelines.pose.oks import oks, oks_nms, soft_oks_nms
from schemas.layouts import layout

SIGMAS = np.array(layout("coco17").oks_sigmas)

# Reference: the official HRNet code's OKS and OKS-NMS on one pose moved by so many pixels along both axes.
MOVED_PX = np.array([0.0, 1.5, 6.0, 40.0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6])
AREA = 10_000.0
TO_FIRST = [1.0, 0.9735832370176036, 0.71189598836351, 0.005174987028876495]


@pytest.fixture
def people() -> np.ndarray:
    pose = np.random.default_rng(0).uniform(0, 100, (17, 2))
    return pose + MOVED_PX[:, None, None]


def test_agrees_with_reference(people: np.ndarray) -> None:
    similarity = oks(people, people, np.full(4, AREA), SIGMAS)
    np.testing.assert_allclose(similarity[0], TO_FIRST, rtol=1e-12)
    np.testing.assert_allclose(similarity, similarity.T)


def test_nms_agrees_with_reference(people: np.ndarray) -> None:
    assert oks_nms(people, SCORES, np.full(4, AREA), SIGMAS, 0.9).tolist() == [0, 2, 3]


def test_nms_returns_best_first(people: np.ndarray) -> None:
    assert oks_nms(people, SCORES[::-1].copy(), np.full(4, AREA), SIGMAS, 0.9).tolist() == [3, 2, 1]


def test_only_visible_joints_count(people: np.ndarray) -> None:
    wrong = people[:1].copy()
    wrong[0, 5:] += 500
    visible = np.zeros((1, 17), bool)
    visible[0, :5] = True
    area = np.array([AREA])
    assert oks(people[:1], wrong, area, SIGMAS, visible)[0, 0] == 1
    assert oks(people[:1], wrong, area, SIGMAS)[0, 0] == pytest.approx(5 / 17)


def test_person_without_visible_joints_is_like_nobody(people: np.ndarray) -> None:
    assert oks(people[:1], people, np.array([AREA]), SIGMAS, np.zeros((1, 17), bool)).tolist() == [[0, 0, 0, 0]]


def test_same_at_any_scale(people: np.ndarray) -> None:
    one = oks(people[:2], people, np.full(2, AREA), SIGMAS)
    np.testing.assert_allclose(oks(people[:2] * 7, people * 7, np.full(2, AREA * 49), SIGMAS), one)


def test_nobody() -> None:
    nobody = np.zeros((0, 17, 2))
    assert oks(nobody, nobody, np.zeros(0), SIGMAS).shape == (0, 0)
    assert len(oks_nms(nobody, np.zeros(0), np.zeros(0), SIGMAS, 0.9)) == 0


def test_soft_nms_agrees_with_reference(people: np.ndarray) -> None:
    kept, scores = soft_oks_nms(people, SCORES, np.full(4, AREA), SIGMAS, 0.9)
    assert kept.tolist() == [0, 3, 2, 1]
    assert scores[0] == SCORES[0]
    assert (np.diff(scores) <= 0).all()


def test_soft_nms_lowers_duplicates_by_how_alike_they_are(people: np.ndarray) -> None:
    _, scores = soft_oks_nms(people[:2], SCORES[:2], np.full(2, AREA), SIGMAS, 0.9)
    assert scores[1] == pytest.approx(SCORES[1] * np.exp(-(TO_FIRST[1] ** 2) / 0.9))
    kept, _ = soft_oks_nms(people, SCORES, np.full(4, AREA), SIGMAS, 0.9, most=2)
    assert kept.tolist() == [0, 3]
