"""Measures the quality of a track without labels, and gives the reason why a track is not worth training on."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import uniform_filter1d

from pipelines.pose.people import People
from pipelines.tracking.side_swaps import repair_swaps
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.normalised import LIMBS, normalised_poses, visible_joints
from schemas.configs.curate import QualityConfig

# Motion is measured after averaging over this time, s, which removes the noise of single frames.
_SMOOTHED_S = 0.5
# The bones of the arms and legs, which are the ones that end at these joints.
_LIMBS = np.array([bone for bone in LIMBS.bones if LIMBS.joints[bone[0]].endswith(("elbow", "wrist", "knee", "ankle"))])


@dataclass(frozen=True)
class Quality:
    """Measures of a track; lengths are in trunk sizes where no unit is named, so that near and far people compare.

    Attributes:
        seconds: Its length.
        unobserved: Share of the frames in which the person was not found.
        score: Median score of the limbs in the other frames.
        missing: Share of the limbs that were not seen in the other frames.
        size_px: Median extent of the person: the longer side of the box around the seen limbs.
        proportions: Median length of the longest limb, a part of an arm or a leg.
        jitter: Median distance of a joint from the middle between its places in the frames before and after.
        swaps: Share of the frames in which left and right of arms or legs look exchanged.
        motion: Root mean square deviation of the smoothed pose from its mean.
    """

    seconds: float
    unobserved: float
    score: float
    missing: float
    size_px: float
    proportions: float
    jitter: float
    swaps: float
    motion: float


@dataclass(frozen=True)
class Rule:
    """A bound of a measure.

    Attributes:
        fault: What a track that breaks it is called.
        measure: The name of the measure.
        option: The option of `QualityConfig` that holds the bound.
        meaning: What follows the measured value in the reason.
    """

    fault: str
    measure: str
    option: str
    meaning: str

    def reason(self, measures: Mapping[str, float | None], limits: QualityConfig) -> str | None:
        """Why a track breaks the rule; None if it does not, or if nothing is known of the measure."""
        value, limit = measures.get(self.measure), getattr(limits, self.option)
        if value is None or limit is None:
            return None
        if math.isnan(value):
            return f"{self.fault}: cannot be measured, because shoulders and hips are never seen together"
        beyond = value < limit if self.option.startswith("min") else value > limit
        return f"{self.fault}: {value:.3g} {self.meaning} (quality.{self.option}={limit:g})" if beyond else None


# Tracks are judged in this order, because an earlier fault explains the later ones.
RULES = (
    Rule("short", "seconds", "min_seconds", "s"),
    Rule("unobserved", "unobserved", "max_unobserved", "of the frames are interpolated"),
    Rule("low scores", "score", "min_score", "is the median score"),
    Rule("missing joints", "missing", "max_missing", "of the limbs are not seen"),
    Rule("tiny", "size_px", "min_size_px", "px"),
    Rule("proportions", "proportions", "max_proportions", "trunk sizes is the length of the longest limb"),
    Rule("jitter", "jitter", "max_jitter", "trunk sizes from frame to frame"),
    Rule("swapped sides", "swaps", "max_swaps", "of the frames have left and right exchanged"),
    Rule("still", "motion", "min_motion", "trunk sizes of motion"),
    Rule("bone lengths", "bone_length_deviation", "max_bone_length_deviation", "is their median deviation once lifted"),
)


def fault(measures: Mapping[str, float | None], limits: QualityConfig) -> str | None:
    """The reason for which a track is not worth training on, by the first rule that it breaks; None if it is.

    Args:
        measures: Of the track, by name; what is unknown breaks no rule.
        limits: The bounds.
    """
    return next((reason for rule in RULES if (reason := rule.reason(measures, limits))), None)


def measure(track: KeypointTrack) -> Quality:
    """The quality of a track.

    Args:
        track: Of limbs, at a constant frame rate; jitter compares only between tracks of about one rate.
    """
    observed, visible, poses = ~track.interpolated, visible_joints(track), normalised_poses(track)
    points = np.where(visible[..., None], track.keypoints, np.nan)
    with warnings.catch_warnings():  # the median of no values is NaN, which is wanted
        warnings.simplefilter("ignore", RuntimeWarning)
        extents = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(axis=-1)
        lengths = np.linalg.norm(poses[:, _LIMBS[:, 0]] - poses[:, _LIMBS[:, 1]], axis=-1)
        jumps = np.linalg.norm(poses[1:-1] - (poses[:-2] + poses[2:]) / 2, axis=-1)
        return Quality(
            seconds=len(track) / track.fps,
            unobserved=1 - float(observed.mean()),
            score=float(np.median(track.scores[observed])) if observed.any() else 0.0,
            missing=1 - float(visible[observed].mean()) if observed.any() else 1.0,
            size_px=float(np.nanmedian(extents)),
            proportions=float(np.nanmedian(np.nanmax(lengths, axis=1))),
            jitter=float(np.nanmedian(jumps)),
            swaps=_swaps(track, visible),
            motion=_motion(poses, track.fps),
        )


def _swaps(track: KeypointTrack, visible: np.ndarray) -> float:
    points = np.nan_to_num(track.keypoints)
    people = People(track.boxes, track.box_scores, points, np.where(visible, track.scores, 0).astype(np.float32))
    return float(repair_swaps(people, track.timestamps_s, LIMBS).swapped.mean())


def _motion(poses: Float32[np.ndarray, "frames joints 2"], fps: float) -> float:
    """How far the pose is from its mean; frames in which a joint is not seen do not count for it."""
    width = max(1, round(_SMOOTHED_S * fps))
    known = np.isfinite(poses)
    weights = uniform_filter1d(known.astype(np.float64), width, axis=0, mode="constant")
    sums = uniform_filter1d(np.where(known, poses, 0).astype(np.float64), width, axis=0, mode="constant")
    # With fewer known frames, noise would remain; at the ends of a track half of the window is known.
    smooth = np.where(weights > 0.4, sums / np.maximum(weights, 1e-9), np.nan)
    deviations = smooth - np.nanmean(smooth, axis=0)
    return float(np.sqrt(2 * np.nanmean(deviations**2)))
