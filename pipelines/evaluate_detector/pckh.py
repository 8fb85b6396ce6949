"""PCKh, MPII's score: the share of joints whose distance from the truth is below a share of the head's size."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from schemas.layouts import LAYOUTS

LAYOUT = LAYOUTS["mpii16"]

# These joints are not in the mean, as in published scores: they are easier, and follow from others.
NOT_IN_MEAN = ("pelvis", "thorax")

# The published "PCKh@0.1" uses the twelfth of the thresholds 0, 0.01, 0.02, …, which is 0.11.
PUBLISHED_TENTH = 0.11


@dataclass(frozen=True)
class Pckh:
    """Percentages; None where no joint was annotated or the detector finds none.

    Attributes:
        mean: Over all annotated joints but pelvis and thorax.
        by_joint: Of each joint by name.
    """

    mean: float | None
    by_joint: dict[str, float | None]


def pckh(
    predicted: Float[np.ndarray, "people 16 2"],
    truth: Float32[np.ndarray, "people 16 2"],
    annotated: Bool[np.ndarray, "people 16"],
    head_sizes_px: Float32[np.ndarray, " people"],
    threshold: float,
) -> Pckh:
    """The share of joints within `threshold` head sizes, in percent.

    Args:
        predicted: Joints found, px. Those of joints that the detector does not know are NaN for everybody, and do not
            count; those of a person who was not found at all count as wrong.
        truth: Where they belong, px.
        annotated: Which of them count.
        head_sizes_px: By which distances are divided.
        threshold: In head sizes.
    """
    known = np.isfinite(predicted).all(-1).any(0)
    distances = np.linalg.norm(predicted - truth, axis=-1) / head_sizes_px[:, None]
    right = ((distances <= threshold) & annotated).sum(0)
    counts = np.where(known, annotated.sum(0), 0)
    by_joint = {
        joint: 100 * float(hits / count) if count else None
        for joint, hits, count in zip(LAYOUT.joints, right, counts, strict=True)
    }
    in_mean = np.array([joint not in NOT_IN_MEAN for joint in LAYOUT.joints]) & known
    total = counts[in_mean].sum()
    return Pckh(100 * float(right[in_mean].sum() / total) if total else None, by_joint)
