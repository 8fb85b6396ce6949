from dataclasses import replace

import numpy as np
import pytest
from datasets.moving_people import camera, track, walking

from pipelines.fit_noise.measured import LIMBS, measure
from pipelines.pose.joint_map import joint_map
from schemas.configs.made_views import DetectorErrorsConfig, JointErrorsConfig
from schemas.errors import UserError
from schemas.layouts import layout

H36M = layout("h36m17")
STATURE_M = 1.7


def detected(motion, keypoints=None, **changes):
    """A labeled track of the motion with the keypoints of a detector; without them, with the true ones."""
    given = {} if keypoints is None else {"keypoints": keypoints.astype(np.float32)}
    return replace(track(motion, **given), **changes)


def test_true_keypoints_have_no_error():
    measured = measure(detected(walking()))
    assert np.abs(measured.error).max() < 1e-4
    assert measured.visible.all()
    assert not measured.exchanged.any()


def test_a_shift_of_the_detector_lies_along_its_directions():
    motion = walking().astype(np.float64)
    hip = JointErrorsConfig(outwards=0.1, along=-0.05)
    shifted = motion.copy()
    hips = [H36M.index(f"{side}_hip") for side in ("left", "right")]
    rows = joint_map(H36M, ["left_hip", "right_hip"], DetectorErrorsConfig(hip=hip))
    shifted[:, hips] = rows @ motion
    measured = measure(detected(motion.astype(np.float32), camera().project(shifted)))
    columns = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]
    expected = 0.1 * measured.outwards[:, columns] - 0.05 * measured.along[:, columns]
    assert np.abs(expected).max() > 0.01
    assert measured.error[:, columns] == pytest.approx(expected, abs=2e-3)


def test_an_error_counts_in_shares_of_the_stature_as_it_is_seen():
    motion = walking()
    keypoints = camera().project(motion)
    keypoints[:, H36M.index("left_wrist"), 0] += 10
    measured = measure(detected(motion, keypoints))
    depth_m = camera().to_camera(motion)[..., 2].mean()
    shares = measured.error[:, LIMBS.index("left_wrist"), 0]
    assert shares.mean() == pytest.approx(10 / camera().intrinsics.fx * depth_m / STATURE_M, rel=0.15)


def test_exchanged_and_unseen_joints_are_no_errors():
    motion = walking()
    keypoints = camera().project(motion)
    legs = [H36M.index(joint) for joint in LIMBS.joints[6:]]
    keypoints[10:15, legs] = keypoints[10:15][:, [H36M.mirror[joint] for joint in legs]]
    scores = np.ones(keypoints.shape[:2], np.float32)
    scores[20, H36M.index("left_elbow")] = 0
    interpolated = np.zeros(len(motion), bool)
    interpolated[30] = True
    measured = measure(detected(motion, keypoints, scores=scores, interpolated=interpolated))
    assert np.flatnonzero(measured.exchanged[:, 1]).tolist() == [10, 11, 12, 13, 14]
    assert not measured.exchanged[:, 0].any()
    assert np.isnan(measured.error[10:15, 6:]).all()
    assert not measured.visible[20, LIMBS.index("left_elbow")]
    assert not measured.visible[30].any()
    assert np.nanmax(np.abs(measured.error)) < 1e-4


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"positions": None}, "has no positions or no camera"),
        ({"intrinsics": None}, "has no positions or no camera"),
    ],
)
def test_tracks_that_cannot_be_measured_are_named(changes, problem):
    with pytest.raises(UserError, match=problem):
        measure(detected(walking(), **changes))
