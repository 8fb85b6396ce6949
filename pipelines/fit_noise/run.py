"""Fits the errors of a detector: measures tracks, estimates the errors, and writes both.

The report compares the measured errors with those that training makes from the estimates, by variograms, spectra and
quantiles.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float64

from pipelines.fit_noise import comparison
from pipelines.fit_noise.estimates import estimate
from pipelines.fit_noise.measured import measure
from pipelines.fit_noise.skeletons import detected_proportions, refit
from pipelines.io import json_documents, storage
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.errors import UserError
from schemas.job_config import listed
from schemas.layouts import JointLayout, layout

RECIPE, REPORT = "recipe.yaml", "report.json"
# Skeletons are measured in every n-th frame and in the first tracks of the motion, because bones hardly vary.
_EVERY_FRAME, _MOTION_TRACKS = 30, 64
# At least this many tracks are needed to see how constant errors vary.
_LEAST_TRACKS = 3


def fit(tracks: str | Sequence[str], motion: str | Sequence[str] | None, output: str) -> dict[str, Any]:
    """Measure, estimate, and write the recipe and the report; returns the report.

    Args:
        tracks: Labeled tracks whose keypoints the detector found.
        motion: Labeled tracks for whose skeletons the joint map is made; None: those of `tracks`.
        output: Folder.

    Raises:
        UserError: There are too few tracks, or they are not labeled.
    """
    where, measured, poses = ", ".join(listed(tracks)), [], []
    for track in read_tracks(tracks):
        measured.append(measure(track))
        poses.append(_poses(track))
    if len(measured) < _LEAST_TRACKS:
        raise UserError(
            f"tracks={where}: {len(measured)} tracks do not tell how a detector's errors vary; give at "
            f"least {_LEAST_TRACKS}"
        )
    rates = sorted({round(one.fps, 3) for one in measured})
    if len(rates) > 1:
        raise UserError(
            f"tracks={where}: have frame rates of {rates[0]:g} to {rates[-1]:g} frames/s; give tracks of "
            "one rate, because errors are compared frame by frame"
        )
    errors = estimate(measured)
    report = {
        "tracks": len(measured),
        "frames": sum(map(len, measured)),
        "variograms": comparison.variograms(measured, errors),
        "spectra": comparison.spectra(measured, errors),
        "quantiles": comparison.quantiles(measured, errors),
    }
    if motion is not None:
        errors = refit(errors, detected_proportions(poses, errors), _some_poses(motion))
    report["errors"] = errors.model_dump()
    storage.write_bytes(storage.join(output, RECIPE), _recipe(errors, report).encode())
    json_documents.write(storage.join(output, REPORT), report)
    return report


def _poses(track: KeypointTrack) -> tuple[Float64[np.ndarray, "frames joints 3"], JointLayout]:
    assert track.positions is not None
    assert track.positions_layout is not None
    return track.positions[::_EVERY_FRAME].astype(np.float64), layout(track.positions_layout)


def _some_poses(motion: str | Sequence[str]) -> list[tuple[Float64[np.ndarray, "frames joints 3"], JointLayout]]:
    """Poses of some tracks, one after another, so that few of them are in memory.

    Raises:
        UserError: The tracks are not labeled.
    """
    labeled = (track for track in read_tracks(motion) if track.positions is not None)
    poses = [_poses(track) for track in itertools.islice(labeled, _MOTION_TRACKS)]
    if not poses:
        raise UserError(f"motion={', '.join(listed(motion))}: holds no labeled track; give tracks of import_poses")
    return poses


def _recipe(errors: DetectorErrorsConfig, report: dict[str, Any]) -> str:
    """The errors as part of a recipe of the train job."""
    settings = {"data": {"world": {"errors": errors.model_dump()}}}
    return (
        f"# Errors of a keypoint detector, measured on {report['tracks']} tracks of {report['frames']} frames.\n"
        f"#   raylift train everyday {RECIPE} labeled=… output=…\n"
    ) + yaml.safe_dump(settings, sort_keys=False)
