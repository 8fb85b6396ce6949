"""Detected tracks against the truth of synthetic videos: who is whom, and how far off."""

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
    """One true person beside the track that follows them best.

    Attributes:
        truth: The person.
        track_id: The track; None if nobody was tracked in the video.
        coverage: Share of the person's frames that the track observed.
        error_px: Median distance of the joints that both layouts name, over observed frames, pixels; NaN without.
        error_share: The same as a share of the person's height in the image.
    """

    truth: Truth
    track_id: str | None
    coverage: float
    error_px: float
    error_share: float


def compare(truths: Sequence[Truth], tracks: Sequence[Mapping[str, Any]], folder: str) -> list[Comparison]:
    """Compare every true person with the track of their video that is nearest over most frames.

    Args:
        truths: The true people, videos relative to `folder`.
        tracks: Rows of the tracks format.
        folder: The folder of the studio's manifest.
    """
    results = []
    for truth in truths:
        video = storage.absolute(storage.join(folder, truth.video))
        found = [_measure(truth, track) for track in tracks if track["video"] == video]
        nobody = Comparison(truth, None, 0.0, float("nan"), float("nan"))
        # Most frames within a fifth of the person's height: near and long, not one of the two.
        results.append(max(found, key=lambda c: c.coverage * (c.error_share < 0.2), default=nobody))
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
    """The frames of the video in which a track was observed, not interpolated, and its keypoints there."""
    seen = ~np.array(track["interpolated"])
    keypoints = np.reshape(track["keypoints"], (track["frames"], -1, 2))
    return track["start_frame"] + np.flatnonzero(seen), keypoints[seen]
