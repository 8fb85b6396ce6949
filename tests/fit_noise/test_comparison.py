"""Made errors beside measured ones: alike where training draws what was measured, and different where it does not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fit_noise.test_estimates import FPS, JOINTS, MADE, made_tracks

from pipelines.fit_noise import comparison
from pipelines.fit_noise.estimates import variogram
from pipelines.fit_noise.measured import MeasuredErrors
from schemas.configs.made_views import PARTS, DetectorErrorsConfig

# What BlazePose's errors were on 48 synthetic films (benchmarks/README.md), of which its recipe is made.
MEASURED = json.loads(Path(__file__).with_name("blazepose_on_films.json").read_text())
RECIPE = Path(__file__).parents[2] / "jobs" / "recipes" / "errors_blazepose.yaml"


@pytest.fixture(scope="module")
def tracks():
    return made_tracks(MADE)


def test_errors_that_are_made_as_measured_have_the_same_spectra(tracks):
    spectra = comparison.spectra(tracks, MADE)
    assert spectra["bands_hz"] == [[0.5, 1], [1, 2], [2, 4], [4, 8], [8, 15]]
    for part in PARTS:
        assert spectra[part]["made"] == pytest.approx(spectra[part]["measured"], rel=0.15), part


def test_white_errors_show_in_the_fast_bands_alone(tracks):
    trembling = {part: joint.model_copy(update={"white": 2 * joint.white}) for part, joint in JOINTS.items()}
    spectra = comparison.spectra(tracks, MADE.model_copy(update=trembling))
    for part in PARTS:
        ratio = np.divide(spectra[part]["made"], spectra[part]["measured"])
        assert ratio[-1] > 1.4
        assert ratio[0] < 1.25


def test_sizes_of_bands_are_those_of_a_wave():
    """A wave of 3 Hz and amplitude 0.1 has a root mean square of 0.0707, all of it between 2 and 4 Hz."""
    times_s = np.arange(240) / FPS
    wave = 0.1 * np.sin(2 * np.pi * 3 * times_s)
    still = np.zeros((len(wave), 12, 2))
    moving = np.broadcast_to(wave[:, None, None], still.shape).copy()
    waving = MeasuredErrors(moving, still, still, np.ones(still.shape[:2], bool), np.zeros((len(wave), 2), bool), FPS)
    sizes = comparison.spectra([waving], MADE)["knee"]["measured"]
    assert sizes[2] == pytest.approx(0.1 / 2**0.5, rel=0.02)
    assert max(sizes[0], sizes[4]) < 0.002


def test_parts_that_are_never_seen_for_long_have_no_spectrum(tracks):
    hidden = tracks[0].error.copy()
    hidden[::20, 2] = hidden[::20, 3] = np.nan  # both elbows
    spectra = comparison.spectra([replace(tracks[0], error=hidden)], MADE)
    assert "elbow" not in spectra
    assert "knee" in spectra


@pytest.mark.parametrize("part", PARTS)
def test_keypoints_that_training_makes_err_as_blazepose_did_on_the_same_films(part):
    values = yaml.safe_load(RECIPE.read_text())["data"]["world"]["errors"]
    errors, fps = DetectorErrorsConfig.model_validate(values), MEASURED["fps"]
    # Half, three quarters, ... and the outermost hundredth of the errors.
    made = comparison.made_errors(errors, fps, 0.9)
    assert comparison.error_quantiles(made, part) == pytest.approx(MEASURED["quantiles"][part], rel=0.25)
    made = list(comparison.made_errors(errors, fps, 4.0))
    assert comparison.spectrum(made, fps, part) == pytest.approx(MEASURED["spectra"][part], rel=0.35)
    # Every sixth lag from 1/30 s to 1.5 s.
    changes = np.sqrt(variogram(made, fps, part)[::6, 1])
    assert changes == pytest.approx(MEASURED["variograms"][part], rel=0.2)
