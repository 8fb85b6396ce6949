"""Which person of a frame continues which track: similarities, and the best one-to-one matching."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from pipelines.pose.oks import oks


def iou(
    boxes: Float[np.ndarray, "tracks 4"], others: Float[np.ndarray, "people 4"]
) -> Float[np.ndarray, "tracks people"]:
    """Intersection over union of every box with every other; boxes have an area."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    common = np.maximum(high - low, 0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    other_areas = (others[:, 2:] - others[:, :2]).prod(-1)
    return common / (areas[:, None] + other_areas - common)


def similarity(
    boxes: Float[np.ndarray, "tracks 4"],
    keypoints: Float[np.ndarray, "tracks joints 2"],
    visible: Bool[np.ndarray, "tracks joints"],
    other_boxes: Float[np.ndarray, "people 4"],
    other_keypoints: Float[np.ndarray, "people joints 2"],
    sigmas: Float[np.ndarray, " joints"],
    oks_weight: float,
) -> Float[np.ndarray, "tracks people"]:
    """(1 - w) · IoU + w · OKS, with w = `oks_weight` times the share of the track's joints that are visible.

    When people cross, their boxes overlap much earlier than their joints, so OKS keeps them apart. Where few joints are
    visible OKS is unreliable, and IoU gets more weight.
    """
    weights = oks_weight * visible.mean(-1, keepdims=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    alike = oks(keypoints, other_keypoints, areas, sigmas, visible)
    return (1 - weights) * iou(boxes, other_boxes) + weights * alike


def likelihood(
    expected: Float[np.ndarray, "tracks 4"],
    variances: Float[np.ndarray, "tracks 4"],
    places: Float[np.ndarray, "people 4"],
) -> Float[np.ndarray, "tracks people"]:
    """exp(-d² / 2) of each person, who is d standard deviations from the expected box of each track; 1 at d = 0.

    Unlike IoU it takes into account how far a track may have moved since its last observation, and it is above 0 for
    disjoint boxes.

    Args:
        expected: `kalman.predict` of each track.
        variances: `kalman.variances` of each track.
        places: `kalman.place_of` each person.
    """
    # The filter's unit of length is the longer side of the box, which changes least while people walk and turn.
    sizes = np.exp(expected[:, None, 2:].max(-1, keepdims=True))
    off = places - expected[:, None]
    off = np.concatenate([off[..., :2] / sizes, off[..., 2:]], -1)
    return np.exp(-(np.square(off) / variances[:, None]).sum(-1) / 2)


def match(similarities: Float[np.ndarray, "tracks people"], minimum: float) -> list[tuple[int, int]]:
    """The (track, person) pairs of the one-to-one matching with the greatest sum of similarities.

    Pairs below `minimum` count as 0, so that they cannot displace a good match.
    """
    worth = np.where(similarities >= minimum, similarities, 0)
    tracks, people = linear_sum_assignment(worth, maximize=True)
    return [(t, p) for t, p in zip(tracks.tolist(), people.tolist(), strict=True) if worth[t, p] > 0]
