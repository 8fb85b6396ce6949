"""Scores of joints predicted in true boxes: PCKh where head sizes are known, AP for layouts with COCO's sigmas."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from pipelines.train_detector.crop_cache import CanvasSet
from schemas.layouts import JointLayout

_PCKH_THRESHOLD = 0.5
# COCO's ten OKS thresholds, and the recalls at which it samples precision.
_OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
# Joints with a score below this do not count for the score of a person.
_LOWEST_SCORE = 0.2

PersonScores = Float64[np.ndarray, "people 4"]
"""For each person: joints within half a head size, joints that count for this, OKS, and the network's confidence."""


@dataclass(frozen=True)
class Truth:
    """The annotations of some people; lengths in pixels of their canvases.

    Attributes:
        points: Joints.
        labeled: Whether each joint is annotated.
        areas: Area of each person.
        head_sizes: Head sizes, by which PCKh divides; NaN where they are not known.
    """

    points: Float[Tensor, "people joints 2"]
    labeled: Bool[Tensor, "people joints"]
    areas: Float[Tensor, " people"]
    head_sizes: Float[Tensor, " people"]

    @classmethod
    def of(cls, canvases: CanvasSet, people: Tensor) -> "Truth":
        """The annotations of some people of a set, by index."""
        columns = (canvases.keypoints, canvases.labeled, canvases.areas, canvases.head_sizes)
        return cls(*(column[people] for column in columns))


def score_people(
    predicted: Float[Tensor, "people joints 2"],
    scores: Float[Tensor, "people joints"],
    truth: Truth,
    layout: JointLayout,
) -> PersonScores:
    """Compare predicted joints with annotated ones; `metrics` summarises the rows of all batches and workers."""
    distances = (predicted - truth.points).norm(dim=-1).double()
    # NaN, of a joint or of a head size, fails every comparison.
    heads = truth.head_sizes[:, None].double()
    counted = truth.labeled & heads.isfinite()
    correct = counted & (distances <= _PCKH_THRESHOLD * heads)
    similarity = torch.full((len(predicted),), torch.nan, dtype=torch.float64)
    if layout.oks_sigmas:
        sigmas = torch.tensor(layout.oks_sigmas, dtype=torch.float64)
        shares = torch.exp(-distances.square() / (2 * truth.areas[:, None].double() * (2 * sigmas).square()))
        similarity = (shares * truth.labeled).sum(1) / truth.labeled.sum(1).clamp(min=1)
    visible = scores > _LOWEST_SCORE
    confidence = (scores * visible).sum(1) / visible.sum(1).clamp(min=1)
    columns = [correct.sum(1).double(), counted.sum(1).double(), similarity, confidence.double()]
    return torch.stack(columns, 1).numpy()


def metrics(people: PersonScores, layout: JointLayout) -> dict[str, float]:
    """Fractions: PCKh@0.5 over all labeled joints; mean OKS, and AP (also at 0.5 and 0.75) as COCO defines them."""
    correct, counted, similarity, confidence = people.T
    summary = {"pckh": float(correct.sum() / counted.sum())} if counted.any() else {}
    if layout.oks_sigmas and len(people):
        precisions = _average_precisions(similarity[np.argsort(-confidence, kind="mergesort")])
        summary |= {
            "ap": float(precisions.mean()),
            "ap_50": float(precisions[0]),
            "ap_75": float(precisions[5]),
            "mean_oks": float(similarity.mean()),
        }
    return summary


def selection(scores: Mapping[str, float]) -> float | None:
    """The number by which the best epoch is selected, higher is better; None without scores."""
    return scores.get("ap", scores.get("pckh"))


def _average_precisions(similarity: Float64[np.ndarray, " people"]) -> Float64[np.ndarray, " thresholds"]:
    """AP at each threshold; people are in order of falling confidence, with one prediction for each."""
    correct = (similarity >= _OKS_THRESHOLDS[:, None]).cumsum(1)
    recall, precision = correct / len(similarity), correct / np.arange(1, len(similarity) + 1)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    places = np.array([np.searchsorted(row, _RECALLS) for row in recall])
    padded = np.concatenate([best_from_here, np.zeros((len(_OKS_THRESHOLDS), 1))], 1)
    return np.take_along_axis(padded, places, 1).mean(1)
