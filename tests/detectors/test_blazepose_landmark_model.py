import numpy as np

from pipelines.detectors.blazepose.landmark_model import refine


def sure_at(column: int, row: int) -> np.ndarray:
    heatmap = np.full((64, 64, 1), -20, np.float32)
    heatmap[row, column] = 5
    return heatmap


def test_joint_moves_to_a_sure_peak() -> None:
    np.testing.assert_allclose(refine(np.array([[80.0, 120.0]]), sure_at(21, 28), 4.0), [[84, 112]], atol=1e-3)


def test_joint_moves_to_the_mean_of_two_peaks() -> None:
    heatmap = np.maximum(sure_at(20, 30), sure_at(22, 30))
    np.testing.assert_allclose(refine(np.array([[84.0, 120.0]]), heatmap, 4.0), [[84, 120]], atol=1e-3)


def test_joint_stays_where_the_heatmap_is_unsure() -> None:
    joint = np.array([[81.0, 122.0]])
    np.testing.assert_array_equal(refine(joint, np.full((64, 64, 1), -0.1, np.float32), 4.0), joint)


def test_joint_stays_where_the_peak_is_out_of_reach() -> None:
    joint = np.array([[81.0, 122.0]])
    np.testing.assert_array_equal(refine(joint, sure_at(24, 30), 4.0), joint)


def test_joint_outside_the_crop_stays() -> None:
    joints = np.array([[-500.0, 900.0]])
    np.testing.assert_array_equal(refine(joints, np.full((64, 64, 1), 5, np.float32), 4.0), joints)
