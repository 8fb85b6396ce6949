import numpy as np
import pytest

from pipelines.detectors.blazepose.landmark_model import network_of, refine


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


@pytest.mark.long
def test_the_heavy_model_gives_the_published_output() -> None:
    """Of an input that any machine makes alike, as TensorFlow.js 4.22 computes it."""
    waves = 0.5 + 0.5 * np.sin(0.0007 * np.arange(256 * 256 * 3))
    rows, person, heatmaps = network_of("heavy", None, 1)(waves.reshape(256, 256, 3).astype(np.float32))
    assert rows.shape == (195,)
    assert rows[:6] == pytest.approx([135.5685, 66.2498, -95.2903, -13.1846, -15.5683, 137.0949], abs=2e-3)
    assert rows.mean() == pytest.approx(40.73799, abs=1e-3)
    assert person == pytest.approx([0.0225414], abs=1e-5)
    assert heatmaps.shape == (64, 64, 39)
    assert (1 / (1 + np.exp(-heatmaps.astype(np.float64)))).mean() == pytest.approx(0.00928257, abs=1e-6)
