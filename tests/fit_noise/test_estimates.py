from typing import Any

import numpy as np
import pytest
import torch

from pipelines.fit_noise.estimates import estimate
from pipelines.fit_noise.measured import LIMBS, MeasuredErrors
from pipelines.sampling.detector_errors import DetectorErrors
from schemas.configs.made_views import PARTS, DetectorErrorsConfig, JointErrorsConfig

FPS, FRAMES = 30.0, 150
USUAL = {"offset": 0.008, "slow": 0.01, "white": 0.003, "outliers": 0.0}
JOINTS: dict[str, Any] = {part: JointErrorsConfig(**USUAL) for part in PARTS} | {
    "knee": JointErrorsConfig(offset=0.012, slow=0.006, white=0.002, outliers=0.0, along=0.05),
    "hip": JointErrorsConfig(**USUAL, outwards=0.1, along=-0.08),
}
MADE = DetectorErrorsConfig(**JOINTS, level_sd=0.2, swapped=0.0, missing=0.0)


def made_tracks(config, people=150):
    """Tracks whose errors are drawn as training draws them, of people who turn and whose joints lie anywhere."""
    generator = torch.Generator().manual_seed(0)
    drawn = DetectorErrors(config, LIMBS, FRAMES, FPS, torch.device("cpu"))
    error = drawn.add(torch.zeros(people, FRAMES, 12, 2), torch.ones(people), generator).double().numpy()
    rng = np.random.default_rng(1)
    outwards, along = (rng.normal(0, 0.2, (people, FRAMES, 12, 2)) for _ in range(2))
    by_joint = [config.of(joint) for joint in LIMBS.joints]
    error += np.array([joint.outwards for joint in by_joint])[:, None] * outwards
    error += np.array([joint.along for joint in by_joint])[:, None] * along
    visible, exchanged = np.ones((people, FRAMES, 12), bool), np.zeros((people, FRAMES, 2), bool)
    return [MeasuredErrors(*arrays, FPS) for arrays in zip(error, outwards, along, visible, exchanged, strict=True)]


def test_what_errors_were_made_with_is_found_again():
    fitted = estimate(made_tracks(MADE))
    for part in PARTS:
        expected, estimated = getattr(MADE, part), getattr(fitted, part)
        assert estimated.offset == pytest.approx(expected.offset, rel=0.25)
        assert estimated.slow == pytest.approx(expected.slow, rel=0.15)
        assert estimated.white == pytest.approx(expected.white, rel=0.2)
        assert (estimated.outwards, estimated.along) == pytest.approx((expected.outwards, expected.along), abs=0.01)
    assert fitted.slow_s == pytest.approx(MADE.slow_s, rel=0.25)
    assert fitted.shared == pytest.approx(MADE.shared, abs=0.08)
    assert fitted.level_sd == pytest.approx(MADE.level_sd, abs=0.12)
    assert (fitted.swapped, fitted.missing) == (0, 0)
    assert fitted.wrist.outliers < 0.01


def test_outliers_missing_and_exchanged_joints_are_counted_apart():
    wild = MADE.wrist.model_copy(update={"outliers": 0.2, "outlier_size": 0.08})
    tracks = made_tracks(MADE.model_copy(update={"wrist": wild}), people=60)
    tracks[0].visible[20:30, 4] = False
    tracks[1].exchanged[60:70, 1] = True
    fitted, calm = estimate(tracks), estimate(made_tracks(MADE, people=60))
    # Nobody can tell a small gross error from a usual one.
    assert 0.1 < fitted.wrist.outliers < 0.2
    assert fitted.wrist.outlier_size == pytest.approx(0.08, abs=0.02)
    # A window of 27 frames touches 10 frames in 36 places of the 124 of a track.
    assert fitted.missing == pytest.approx(36 / 124 / 60, abs=1e-3)
    assert fitted.swapped == pytest.approx(36 / 124 / 60, abs=1e-3)
    assert fitted.knee.slow == pytest.approx(calm.knee.slow, rel=0.1)
