import numpy as np
import pytest

from pipelines.synthetic.actions import ACTIONS
from pipelines.synthetic.motion import Motion, generate_motion
from pipelines.synthetic.skeleton import JOINT, LAYOUT, sole_points
from schemas.errors import UserError

FPS = 30.0
SEEDS = range(3)


@pytest.fixture(scope="module", params=sorted(ACTIONS))
def motions(request: pytest.FixtureRequest) -> list[Motion]:
    return [generate_motion(seed, 6.0, FPS, request.param) for seed in SEEDS]


def soles(motion: Motion) -> np.ndarray:
    return sole_points(motion.body, motion.positions.astype(np.float64), motion.rotations.astype(np.float64))


def test_bones_keep_their_lengths(motions: list[Motion]) -> None:
    for motion in motions:
        for child, parent in LAYOUT.bones:
            length = np.linalg.norm(motion.positions[:, child] - motion.positions[:, parent], axis=-1)
            assert np.ptp(length) < 1e-5
            assert length[0] == pytest.approx(motion.body.bone(LAYOUT.joints[child]), abs=1e-5)


def test_movement_is_smooth(motions: list[Motion]) -> None:
    # Motion capture of the CMU database reaches 11 m/s and 500 m/s²; the synthetic actions are slower.
    for motion in motions:
        positions = motion.positions.astype(np.float64)
        assert np.linalg.norm(np.diff(positions, axis=0), axis=-1).max() * FPS < 10
        assert np.linalg.norm(np.diff(positions, 2, axis=0), axis=-1).max() * FPS**2 < 150


def test_every_action_moves_the_body(motions: list[Motion]) -> None:
    for motion in motions:
        hands = motion.positions[:, [JOINT["left_wrist"], JOINT["right_wrist"]]]
        assert np.ptp(hands, axis=0).max() > 0.2


def test_feet_are_on_the_ground_and_stay_there(motions: list[Motion]) -> None:
    for motion in motions:
        points = soles(motion)
        assert points[..., 2].min() > -0.02
        airborne = 0.3 if motion.action in ("jump", "jog") else 0.02
        assert points[..., 2].min(axis=1).max() < airborne
        # The lowest point stands still, whereas the swinging foot of a walk moves at 4 m/s.
        lowest = points[:-1, :, 2].argmin(axis=1)
        speed = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1) * FPS
        assert np.median(speed[np.arange(len(lowest)), lowest]) < 0.35


def test_knees_and_elbows_bend_one_way(motions: list[Motion]) -> None:
    for motion in motions:
        for side in ("left", "right"):
            for parent, joint, sense in (("hip", "knee", 1), ("shoulder", "elbow", -1)):
                upper = motion.rotations[:, JOINT[f"{side}_{parent}"]]
                lower = motion.rotations[:, JOINT[f"{side}_{joint}"]]
                # The long axis of the lower part, in the frame of the upper part, where backward is -x.
                axis = np.einsum("fji,fj->fi", upper, -lower[..., 2])
                bent = np.degrees(np.arctan2(-sense * axis[:, 0], -axis[:, 2]))
                assert bent.min() > -0.1
                assert bent.max() < 150.1


def test_people_are_upright(motions: list[Motion]) -> None:
    for motion in motions:
        heads = motion.positions[:, JOINT["head"], 2] - motion.positions[:, JOINT["pelvis"], 2]
        assert heads.min() > 0.1


@pytest.mark.parametrize("action", ["walk", "jog"])
def test_gaits_travel_and_turn(action: str) -> None:
    motion = generate_motion(1, 8.0, FPS, action)
    root = motion.positions[:, 0, :2].astype(np.float64)
    speed = np.linalg.norm(np.diff(root, axis=0), axis=1).mean() * FPS
    assert (0.7 < speed < 1.4) if action == "walk" else (1.2 < speed < 2.6)
    heading = np.unwrap(np.arctan2(motion.rotations[:, 0, 1, 0], motion.rotations[:, 0, 0, 0]))
    assert np.ptp(heading) > np.pi
    # People walk in the direction that they face.
    forward = motion.rotations[:-1, 0, :2, 0]
    assert (np.diff(root, axis=0) * forward).sum(axis=1).mean() > 0


def test_jumpers_leave_the_ground_and_sitters_reach_the_seat() -> None:
    assert soles(generate_motion(0, 6.0, FPS, "jump"))[..., 2].min(axis=1).max() > 0.1
    sitting = generate_motion(0, 6.0, FPS, "sit")
    assert sitting.seat is not None
    hips = sitting.positions[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=1)
    assert hips[:, 2].min() == pytest.approx(sitting.seat[2], abs=0.13)
    assert sitting.moved(2.0, 0.0).seat == pytest.approx((sitting.seat[0] + 2, *sitting.seat[1:]))


def test_equal_seeds_give_equal_motions() -> None:
    first, again, other = (generate_motion(seed, 2.0, FPS) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.action == again.action
    assert not np.array_equal(first.positions, other.positions)
    assert first.positions.dtype == np.float32


def test_an_unknown_action_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"no action 'flying'; known: walk, "):
        generate_motion(0, 1.0, FPS, "flying")
