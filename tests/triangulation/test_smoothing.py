"""Noise is taken out, impacts stay."""

import numpy as np

from pipelines.triangulation.smoothing import smooth

STEP_S = 1 / 60
TIMES = np.arange(120) * STEP_S


def error_mm(path: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return 1000 * np.linalg.norm(path - truth, axis=1)


def test_noise_of_a_steady_motion_is_reduced():
    truth = np.stack([0.3 * np.sin(3 * TIMES), TIMES, 0 * TIMES], axis=1)
    noisy = truth + np.random.default_rng(0).normal(0, 0.01, truth.shape)
    path = smooth(noisy, np.ones(len(truth)), STEP_S)
    assert error_mm(path, truth).mean() < 0.6 * error_mm(noisy, truth).mean()


def test_a_fist_that_stops_within_a_frame_stops_within_two():
    truth = np.stack([np.minimum(8 * TIMES, 8.0), 0 * TIMES, 0 * TIMES], axis=1)
    noisy = truth + np.random.default_rng(1).normal(0, 0.005, truth.shape)
    path = smooth(noisy, np.ones(len(truth)), STEP_S)
    assert error_mm(path, truth)[55:66].max() < 20, "at 8 m/s a frame is 133 mm"


def test_a_frame_without_weight_follows_from_its_neighbours():
    truth = np.stack([TIMES, 0 * TIMES, 0 * TIMES], axis=1)
    weights = np.ones(len(truth))
    weights[40:50] = 0
    broken = truth + np.where(weights[:, None] > 0, 0, 5.0)
    assert error_mm(smooth(broken, weights, STEP_S), truth).max() < 1
