"""Compares detected tracks with the ground truth of synthetic videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipelines.io import storage
from pipelines.synthetic.truth import Truth
from schemas.layouts import layout, shared_joints


@dataclass(frozen=True)
class Comparison:
    """One true person and the track that matches best.

    Attributes:
        truth: The person.
        track_id: The track; None if the video has no track.
        coverage: Share of the person's frames in which the track is observed.
        error_px: Median distance of the joints that both layouts have, over observed frames, px; NaN without a track.
        error_share: Median of the same distance divided by the person's height in the image.
    """

    truth: Truth
    track_id: str | None
    coverage: float
    error_px: float
    error_share: float


def compare(truths: Sequence[Truth], tracks: Sequence[Mapping[str, Any]], folder: str) -> list[Comparison]:
    """Compare every true person with the track of the same video that is near for the most frames.

    Args:
        truths: The true people, videos relative to `folder`.
        tracks: Rows of the tracks format.
        folder: The output folder of the synthesize job.
    """
    results = []
    for truth in truths:
        video = storage.absolute(storage.join(folder, truth.video))
        candidates = [_measure(truth, track) for track in tracks if track["video"] == video]
        nobody = Comparison(truth, None, 0.0, float("nan"), float("nan"))
        # A match must be near (within a fifth of the person's height) for its frames to count.
        results.append(max(candidates, key=lambda c: c.coverage * (c.error_share < 0.2), default=nobody))
    return results


def _measure(truth: Truth, track: Mapping[str, Any]) -> Comparison:
    observed, keypoints = observed_keypoints(track)
    observed, keypoints = observed[observed < len(truth.timestamps_s)], keypoints[observed < len(truth.timestamps_s)]
    pairs = np.array(shared_joints(layout(track["layout"]), layout("h36m17")))
    true = truth.keypoints[observed]
    height_px = np.ptp(true[..., 1], axis=1)[:, None]
    distance_px = np.linalg.norm(keypoints[:, pairs[:, 0]] - true[:, pairs[:, 1]], axis=2)
    return Comparison(
        truth,
        track["track_id"],
        len(observed) / len(truth.timestamps_s),
        float(np.median(distance_px)),
        float(np.median(distance_px / height_px)),
    )


def observed_keypoints(
    track: Mapping[str, Any],
) -> tuple[Int[np.ndarray, " observed"], Float[np.ndarray, "observed joints 2"]]:
    """The numbers of the frames in which a track was observed, not interpolated, and its keypoints there."""
    observed = ~np.array(track["interpolated"])
    keypoints = np.reshape(track["keypoints"], (track["frames"], -1, 2))
    return track["start_frame"] + np.flatnonzero(observed), keypoints[observed]
