"""Object keypoint similarity (OKS) of poses, 0 to 1, and non-maximum suppression by it."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from schemas.layouts import JointLayout

# The constant of every joint of a layout without constants: COCO's for shoulders, near the mean of its limb joints.
_DEFAULT_SIGMA = 0.079


def oks_sigmas(layout: JointLayout) -> Float64[np.ndarray, " joints"]:
    """The constant of each joint that `oks` needs: the layout's own, or one default for all if it has none."""
    return np.array(layout.oks_sigmas or (_DEFAULT_SIGMA,) * len(layout))


def oks(
    keypoints: Float[np.ndarray, "*frames people joints 2"],
    others: Float[np.ndarray, "*frames others joints 2"],
    areas: Float[np.ndarray, "*frames people"],
    sigmas: Float[np.ndarray, " joints"],
    visible: Bool[np.ndarray, "*frames people joints"] | None = None,
) -> Float[np.ndarray, "*frames people others"]:
    """Similarity of every person to every other: mean over joints of exp(-d² / (2 · area · (2σ)²)).

    The formula is COCO's keypoint evaluation (cocodataset.org, "Keypoint Evaluation"), with `keypoints` in
    the place of the ground truth: their areas set the scale, and only their visible joints count.

    Args:
        keypoints: Joints of the people compared, pixels.
        others: Joints of the people they are compared to, pixels.
        areas: Area that each of `keypoints` covers, square pixels, above 0.
        sigmas: The constant of each joint, from `oks_sigmas`.
        visible: Joints of `keypoints` that count; None for all. A person without visible joints has similarity 0.
    """
    squared_px = np.square(keypoints[..., :, None, :, :] - others[..., None, :, :, :]).sum(-1)
    variances = 2 * areas[..., None] * np.square(2 * sigmas)
    similarity = np.exp(-squared_px / variances[..., :, None, :])
    if visible is None:
        return similarity.mean(-1)
    counts = np.maximum(visible.sum(-1, keepdims=True), 1)
    return np.where(visible[..., :, None, :], similarity, 0).sum(-1) / counts


def oks_nms(
    keypoints: Float[np.ndarray, "people joints 2"],
    scores: Float[np.ndarray, " people"],
    areas: Float[np.ndarray, " people"],
    sigmas: Float[np.ndarray, " joints"],
    threshold: float,
    visible: Bool[np.ndarray, "people joints"] | None = None,
) -> Int[np.ndarray, " kept"]:
    """Indices of the people that are not duplicates of a better one, best score first.

    Greedy: the best remaining person is kept, and everyone whose OKS to it is above `threshold` is dropped. `visible`
    marks the joints of the kept person that count.
    """
    similarity = oks(keypoints, keypoints, areas, sigmas, visible)
    # A stable sort keeps the order of equal scores, so that the same frame always gives the same people.
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for person in order:
        if all(similarity[better, person] <= threshold for better in kept):
            kept.append(int(person))
    return np.array(kept, np.int64)


def soft_oks_nms(
    keypoints: Float[np.ndarray, "people joints 2"],
    scores: Float[np.ndarray, " people"],
    areas: Float[np.ndarray, " people"],
    sigmas: Float[np.ndarray, " joints"],
    threshold: float,
    most: int = 20,
    visible: Bool[np.ndarray, "people joints"] | None = None,
) -> tuple[Int[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Indices of the people in the order of their lowered scores, and these scores.

    Duplicates are not dropped: each person taken multiplies the scores of the remaining ones by exp(-OKS² / threshold).

    Args:
        keypoints: Joints, pixels.
        scores: Of the people.
        areas: Area that each covers, square pixels, above 0.
        sigmas: The constant of each joint, from `oks_sigmas`.
        threshold: Smaller values lower the scores of duplicates more.
        most: How many people are returned at most; those of the lowest scores are dropped.
        visible: Joints of a person taken that count; None for all.
    """
    similarity = oks(keypoints, keypoints, areas, sigmas, visible)
    lowered, left = scores.copy(), np.ones(len(scores), bool)
    kept: list[int] = []
    for _ in range(min(most, len(scores))):
        best = int(np.where(left, lowered, -np.inf).argmax())
        left[best] = False
        kept.append(best)
        lowered[left] *= np.exp(-np.square(similarity[best, left]) / threshold)
    return np.array(kept, np.int64), lowered[kept]
