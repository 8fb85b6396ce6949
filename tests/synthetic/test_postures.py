"""Motion within postures: bodies keep their bones, lie where the ground is, and do what the posture says."""

import numpy as np
import pytest

from pipelines.synthetic.postures import POSTURES, generate
from pipelines.synthetic.skeleton import JOINT, LAYOUT, sample_body

FPS = 60.0
PEOPLE = range(3)


@pytest.fixture(scope="module", params=sorted(POSTURES))
def motions(request: pytest.FixtureRequest) -> list[tuple[str, np.ndarray]]:
    return [(request.param, made(request.param, seed)) for seed in PEOPLE]


def made(name: str, seed: int, seconds: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return generate(name, sample_body(rng), seconds, FPS, rng).astype(np.float64)


def test_bones_keep_their_lengths(motions):
    for _, joints in motions:
        for child, parent in LAYOUT.bones:
            assert np.ptp(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)) < 1e-5


def test_people_are_on_the_ground_and_move_smoothly(motions):
    for _, joints in motions:
        lowest = joints[..., 2].min(axis=1)
        assert lowest.min() > 0
        assert lowest.max() < 0.15
        assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() * FPS < 6
        assert np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max() * FPS**2 < 60
        assert np.ptp(joints, axis=0).max() > 0.1


def test_the_trunk_is_where_the_posture_says(motions):
    for name, joints in motions:
        trunk = joints[:, JOINT["neck"]] - joints[:, JOINT["pelvis"]]
        upward = trunk[:, 2] / np.linalg.norm(trunk, axis=-1)
        if name.startswith("lie"):
            assert np.abs(upward).mean() < 0.7
        elif name in ("sit_on_floor", "sit_on_chair", "kneel"):
            assert upward.mean() > 0.5


def test_legs_turn_round_on_a_bicycle():
    joints = made("ride_bicycle", 0, seconds=10.0)
    height = (joints[:, JOINT["left_ankle"]] - joints[:, JOINT["right_ankle"]])[:, 2]
    turns = np.count_nonzero(np.diff(np.sign(height - height.mean()))) / 2
    assert 7 <= turns <= 17


def test_the_same_seed_is_the_same_motion():
    assert np.array_equal(made("kneel", 1, 1.0), made("kneel", 1, 1.0))
    assert not np.array_equal(made("kneel", 1, 1.0), made("kneel", 2, 1.0))
