"""Robust triangulation: finds the pair of rays that most others agree with, then solves least squares with those.

Errors are counted as shares of the person's height in the picture: 10 px are little for a person near the camera, and
much for one far away.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from pipelines.calibration.camera import Camera

# A ray agrees with a point if it misses it by at most this share of the person's height.
AGREEMENT = 0.06
# The usual distance of a ray that agrees, as a share of the largest; farther rays count less (Cauchy's weights).
_USUAL = 0.3
# The number of steps of weighted least squares; each uses the weights of the previous point.
_REFINEMENTS = 5
# Rays that are closer to parallel than this, degrees, do not determine depth.
_LEAST_ANGLE_DEG = 3.0


@dataclass(frozen=True)
class Points:
    """Points in space over time.

    Attributes:
        positions: World, m; NaN where fewer than two views agree.
        residuals_px: Median distance of their projections from the keypoints that agree, px.
        views: How many views agree; 0 where the point is missing.
    """

    positions: Float64[np.ndarray, "frames joints 3"]
    residuals_px: Float64[np.ndarray, "frames joints"]
    views: Int[np.ndarray, "frames joints"]


def triangulate(
    cameras: Sequence[Camera],
    keypoints: Float64[np.ndarray, "views frames joints 2"],
    rays: Float64[np.ndarray, "views frames joints 2"],
    scores: Float64[np.ndarray, "views frames joints"],
    heights: Float64[np.ndarray, "views frames"],
) -> Points:
    """The joints of one person.

    Args:
        cameras: The camera of each view.
        keypoints: Pixels; NaN is missing.
        rays: The same without distortion, at depth 1.
        scores: Weight of each keypoint; 0 is missing.
        heights: Height of the person in each picture, px.
    """
    known, shape = scores > 0, scores.shape[1:]
    directions = np.stack([_directions(camera, of) for camera, of in zip(cameras, rays, strict=True)])
    limits = AGREEMENT * np.where(np.isfinite(heights), heights, 1.0)[..., None]
    best = np.full((*shape, 3), np.nan)
    least = np.full(shape, np.inf)
    for pair in itertools.combinations(range(len(cameras)), 2):
        both = known[list(pair)].all(0) & ~_parallel(directions[pair[0]], directions[pair[1]])
        weights = np.zeros_like(scores)
        weights[list(pair)] = both
        point = _nearest(cameras, directions, weights)
        misses = _misses(cameras, keypoints, point)
        misses = np.where(known, np.minimum(misses, limits) / limits, 0.0)
        cost = np.where(both & np.isfinite(point).all(-1), (misses * scores).sum(0), np.inf)
        better = cost < least
        best[better], least[better] = point[better], cost[better]
    return _refined(cameras, keypoints, directions, scores, limits, best)


def _refined(
    cameras: Sequence[Camera],
    keypoints: np.ndarray,
    directions: np.ndarray,
    scores: np.ndarray,
    limits: np.ndarray,
    points: Float64[np.ndarray, "frames joints 3"],
) -> Points:
    """Least squares of the rays that agree with some points."""
    focal = np.array([camera.intrinsics.fx for camera in cameras])[:, None, None]
    for _ in range(_REFINEMENTS):
        agree = _agree(cameras, keypoints, scores, limits, points)
        depths = np.stack([camera.to_camera(points)[..., 2] for camera in cameras])
        doubt = 1 + (np.nan_to_num(_misses(cameras, keypoints, points)) / (_USUAL * limits)) ** 2
        weights = scores * (focal / np.maximum(depths, 0.1)) ** 2 / doubt
        points = _nearest(cameras, directions, np.where(agree, weights, 0.0))
    misses = _misses(cameras, keypoints, points)
    agree = _agree(cameras, keypoints, scores, limits, points)
    enough = agree.sum(0) >= 2
    residuals = np.full(enough.shape, np.nan)
    residuals[enough] = np.nanmedian(np.where(agree, misses, np.nan)[:, enough], axis=0)
    return Points(np.where(enough[..., None], points, np.nan), residuals, np.where(enough, agree.sum(0), 0))


def _agree(
    cameras: Sequence[Camera], keypoints: np.ndarray, scores: np.ndarray, limits: np.ndarray, points: np.ndarray
) -> Bool[np.ndarray, "views frames joints"]:
    misses = _misses(cameras, keypoints, points)
    return (scores > 0) & (np.nan_to_num(misses, nan=np.inf) < limits)


def _directions(camera: Camera, rays: Float64[np.ndarray, "*shape 2"]) -> Float64[np.ndarray, "*shape 3"]:
    """Unit directions of rays in the world."""
    inside = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    return (inside / np.linalg.norm(inside, axis=-1, keepdims=True)) @ camera.rotation


def _parallel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return abs(np.nan_to_num((first * second).sum(-1))) > np.cos(np.radians(_LEAST_ANGLE_DEG))


def _misses(cameras: Sequence[Camera], keypoints: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances of projections from keypoints, px; NaN where either is missing."""
    projected = np.stack([camera.project(points) for camera in cameras])
    return np.linalg.norm(projected - keypoints, axis=-1)


def _nearest(
    cameras: Sequence[Camera], directions: np.ndarray, weights: Float64[np.ndarray, "views frames joints"]
) -> Float64[np.ndarray, "frames joints 3"]:
    """The point with the least sum of weighted squared distances from rays; NaN where two rays do not determine it."""
    matrix, vector = np.zeros((*weights.shape[1:], 3, 3)), np.zeros((*weights.shape[1:], 3))
    for camera, direction, weight in zip(cameras, directions, weights, strict=True):
        along = np.where((weight > 0)[..., None], direction, 0.0)
        across = weight[..., None, None] * (np.eye(3) - along[..., :, None] * along[..., None, :])
        matrix += across
        vector += across @ camera.centre
    determined = (weights > 0).sum(0) >= 2
    matrix[~determined] = np.eye(3)
    points = np.linalg.solve(matrix, vector[..., None])[..., 0]
    return np.where(determined[..., None], points, np.nan)
