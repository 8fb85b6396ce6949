import numpy as np
import pytest

from pipelines.pose.oks import oks, oks_nms, oks_sigmas, soft_oks_nms
from schemas.layouts import LAYOUTS, layout

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


def test_oks_of_no_people_is_empty() -> None:
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


def test_frames_and_visible_joints_broadcast(people: np.ndarray) -> None:
    visible = np.random.default_rng(1).random((2, 4, 17)) < 0.5
    frames = np.stack([people, people[::-1]])
    areas = np.full((2, 4), AREA)
    together = oks(frames, frames, areas, SIGMAS, visible)
    for frame in range(2):
        alone = oks(frames[frame], frames[frame], areas[frame], SIGMAS, visible[frame])
        np.testing.assert_allclose(together[frame], alone)
        for person in range(4):
            one = slice(person, person + 1)
            row = oks(frames[frame, one], frames[frame], areas[frame, one], SIGMAS, visible[frame, one])
            np.testing.assert_allclose(alone[one], row)


def test_one_visible_joint_is_enough(people: np.ndarray) -> None:
    visible = np.zeros((1, 17), bool)
    visible[0, 3] = True
    assert oks(people[:1], people[:1], np.array([AREA]), SIGMAS, visible)[0, 0] == 1


def test_nobody_is_a_duplicate_at_a_threshold_of_1(people: np.ndarray) -> None:
    twice = np.concatenate([people[:1], people[:1]])
    assert oks_nms(twice, SCORES[:2], np.full(2, AREA), SIGMAS, 1.0).tolist() == [0, 1]


def test_soft_nms_returns_20_people_by_default(people: np.ndarray) -> None:
    crowd = people[:1] + 1000 * np.arange(25)[:, None, None]
    scores = np.linspace(0.9, 0.1, 25)
    kept, _ = soft_oks_nms(crowd, scores, np.full(25, AREA), SIGMAS, 0.9)
    assert kept.tolist() == list(range(20))


def test_layouts_without_constants_have_one_default_for_all_joints() -> None:
    assert oks_sigmas(layout("coco17")).tolist() == list(layout("coco17").oks_sigmas)
    without = next(one for one in LAYOUTS.values() if not one.oks_sigmas)
    assert oks_sigmas(without).tolist() == [0.079] * len(without)
