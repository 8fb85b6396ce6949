"""How well joints are found in true boxes: PCKh where heads are known, COCO's AP where the layout's sigmas are."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from pipelines.train_detector.crop_cache import CanvasSet
from schemas.layouts import JointLayout

_PCKH_THRESHOLD = 0.5
# COCO's ten, and the places at which it reads precision.
_OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
# Joints below this say nothing about whether somebody is there.
_SEEN = 0.2

Judgement = Float64[np.ndarray, "people 4"]
"""Of each person: joints within half a head, joints that count for this, OKS, and how sure the net is."""


@dataclass(frozen=True)
class Truth:
    """What is known of some people; lengths in pixels of their canvases.

    Attributes:
        points: Joints.
        labeled: Which of them are known.
        areas: What each person covers.
        head_sizes: By which PCKh divides; NaN where it is not known.
    """

    points: Float[Tensor, "people joints 2"]
    labeled: Bool[Tensor, "people joints"]
    areas: Float[Tensor, " people"]
    head_sizes: Float[Tensor, " people"]

    @classmethod
    def of(cls, held: CanvasSet, people: Tensor) -> "Truth":
        """That of some people of a set."""
        return cls(held.keypoints[people], held.labeled[people], held.areas[people], held.head_sizes[people])


def judge(
    found: Float[Tensor, "people joints 2"], scores: Float[Tensor, "people joints"], truth: Truth, layout: JointLayout
) -> Judgement:
    """Compare people with what was found in their boxes; `metrics` reads it, of all batches and workers together."""
    distances = (found - truth.points).norm(dim=-1).double()
    # Points and heads at a distance of NaN are none.
    heads = truth.head_sizes[:, None].double()
    counted = truth.labeled & heads.isfinite()
    right = counted & (distances <= _PCKH_THRESHOLD * heads)
    similarity = torch.full((len(found),), torch.nan, dtype=torch.float64)
    if layout.oks_sigmas:
        sigmas = torch.tensor(layout.oks_sigmas, dtype=torch.float64)
        shares = torch.exp(-distances.square() / (2 * truth.areas[:, None].double() * (2 * sigmas).square()))
        similarity = (shares * truth.labeled).sum(1) / truth.labeled.sum(1).clamp(min=1)
    seen = scores > _SEEN
    sure = (scores * seen).sum(1) / seen.sum(1).clamp(min=1)
    columns = [right.sum(1).double(), counted.sum(1).double(), similarity, sure.double()]
    return torch.stack(columns, 1).numpy()


def metrics(judged: Judgement, layout: JointLayout) -> dict[str, float]:
    """Shares: PCKh@0.5 over all labeled joints; mean OKS, AP, AP at 0.5 and 0.75 as COCO's with true boxes."""
    right, counted, similarity, sure = judged.T
    found = {"pckh": float(right.sum() / counted.sum())} if counted.any() else {}
    if layout.oks_sigmas and len(judged):
        precisions = _average_precisions(similarity[np.argsort(-sure, kind="mergesort")])
        found |= {
            "ap": float(precisions.mean()),
            "ap_50": float(precisions[0]),
            "ap_75": float(precisions[5]),
            "mean_oks": float(similarity.mean()),
        }
    return found


def selection(found: dict[str, float]) -> float | None:
    """The number to choose an epoch by, the higher the better; None without any."""
    return found.get("ap", found.get("pckh"))


def _average_precisions(similarity: Float64[np.ndarray, " people"]) -> Float64[np.ndarray, " thresholds"]:
    """AP at each threshold, of people in the order of how sure the net is of them; everybody is found once."""
    right = (similarity >= _OKS_THRESHOLDS[:, None]).cumsum(1)
    recall, precision = right / len(similarity), right / np.arange(1, len(similarity) + 1)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    places = np.array([np.searchsorted(row, _RECALLS) for row in recall])
    padded = np.concatenate([best_from_here, np.zeros((len(_OKS_THRESHOLDS), 1))], 1)
    return np.take_along_axis(padded, places, 1).mean(1)
