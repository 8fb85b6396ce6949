import numpy as np
import pytest

from pipelines.evaluate_detector.pckh import PUBLISHED_TENTH, pckh
from schemas.layouts import layout

JOINTS = layout("mpii16").joints
PEOPLE = 20


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 300, (PEOPLE, 16, 2)).astype(np.float32)


ALL = np.ones((PEOPLE, 16), bool)
HEADS = np.linspace(20, 60, PEOPLE).astype(np.float32)


def missed(truth: np.ndarray, head_sizes: float) -> np.ndarray:
    """Joints so many head sizes off."""
    return truth + np.stack([HEADS * head_sizes, np.zeros(PEOPLE)], -1)[:, None]


def test_the_annotated_joints_themselves_score_100_percent(truth):
    detected = pckh(truth, truth, ALL, HEADS, 0.1)
    assert detected.mean == 100
    assert set(detected.by_joint.values()) == {100.0}


def test_thresholds_are_in_head_sizes(truth):
    assert pckh(missed(truth, 0.49), truth, ALL, HEADS, 0.5).mean == 100
    assert pckh(missed(truth, 0.51), truth, ALL, HEADS, 0.5).mean == 0
    # The quirk of published tables: their "@0.1" lets pass what 0.1 does not.
    assert pckh(missed(truth, 0.105), truth, ALL, HEADS, 0.1).mean == 0
    assert pckh(missed(truth, 0.105), truth, ALL, HEADS, PUBLISHED_TENTH).mean == 100


def test_agrees_with_the_published_procedure(truth):
    """The steps of the official evaluation: per joint first, then a mean weighted by counts, without 6 and 7."""
    random = np.random.default_rng(1)
    detected, annotated = truth + random.normal(0, 15, truth.shape), random.uniform(size=(PEOPLE, 16)) < 0.8
    distances = np.linalg.norm(detected - truth, axis=-1).T / HEADS
    visible = annotated.T.astype(float)
    counts = visible.sum(1)
    by_joint = 100 * ((distances * visible <= 0.5) * visible).sum(1) / counts
    kept = [j for j in range(16) if j not in (6, 7)]
    mean = (by_joint[kept] * counts[kept] / counts[kept].sum()).sum()
    scored = pckh(detected, truth, annotated, HEADS, 0.5)
    assert scored.mean == pytest.approx(mean)
    np.testing.assert_allclose(np.array([scored.by_joint[joint] for joint in JOINTS], float), by_joint)
    assert 20 < mean < 95


def test_joints_that_the_detector_lacks_do_not_count_but_people_it_misses_do(truth):
    detected = truth.copy()
    detected[:, JOINTS.index("head_top")] = np.nan
    detected[3] = np.nan
    scored = pckh(detected, truth, ALL, HEADS, 0.5)
    assert scored.by_joint["head_top"] is None
    assert scored.by_joint["left_hip"] == scored.mean == pytest.approx(100 * (PEOPLE - 1) / PEOPLE)


def test_nobody_annotated(truth):
    scored = pckh(truth, truth, ~ALL, HEADS, 0.5)
    assert scored.mean is None
    assert set(scored.by_joint.values()) == {None}
