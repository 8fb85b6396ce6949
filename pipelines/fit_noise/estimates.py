"""Estimates the numbers of `DetectorErrorsConfig` from measured errors.

1. The joint map: a robust least-squares fit of the constant part that turns with the body.
2. What is left has three parts. Over a lag t, half the mean squared change of an error (its variogram) is
   slow² · (1 - exp(-t / slow_s)) + white²; the constant part is what the mean over a track keeps beyond that.

All moments are robust (medians), so that gross errors count as such: as outliers, exchanged or missing joints.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from scipy.optimize import nnls

from pipelines.fit_noise.measured import LIMBS, MeasuredErrors, columns_of, part_of
from schemas.configs.made_views import PARTS, DetectorErrorsConfig, JointErrorsConfig

# The parts of the trunk, along whose width a detector may see joints shifted outwards.
_TRUNK = ("shoulder", "hip")
# The median of the square, and of the absolute value, of a normal variable of variance 1.
_MEDIAN_SQUARE, _MEDIAN_ABSOLUTE = 0.4549, 0.6745
# The time constants that are tried, and the longest lag of a variogram, s.
_SLOW_S = np.geomspace(0.1, 2.0, 25)
_LONGEST_LAG_S = 1.5
# Number of rounds of the robust fit, and the residual from which on a point counts less, as a multiple of the median
# one.
_ROUNDS, _USUAL = 10, 2.0
# The median error over a window counts as gross beyond this many standard deviations.
_GROSS = 3.5
# Length of the windows, s, that are counted as having exchanged or missing joints: that of the shipped lifter.
_WINDOW_S = 0.9


def estimate(tracks: Sequence[MeasuredErrors]) -> DetectorErrorsConfig:
    """The sizes and frequencies of the errors, rounded to their precision."""
    shifts = {part: _shift(tracks, part) for part in PARTS}
    residuals = _without_shifts(tracks, shifts)
    curves = {part: variogram(residuals, tracks[0].fps, part) for part in PARTS}
    slow_s, sizes = _decompose(curves)
    seconds = float(np.median([len(track) / track.fps for track in tracks]))
    joints = {}
    for part in PARTS:
        slow, white = sizes[part]
        wandering = slow**2 * min(1.0, 2 * slow_s / seconds)
        offset = float(np.sqrt(max(_spread(_means(residuals, part)) ** 2 - wandering, 0.0)))
        outliers, outlier_size = _gross(_means(_windows(residuals, tracks[0].fps), part), float(np.hypot(offset, slow)))
        outwards, along = shifts[part]
        fields = {
            **{"offset": offset, "slow": slow, "white": white, "outliers": outliers, "outlier_size": outlier_size},
            **{"outwards": outwards, "along": along},
        }
        joints[part] = JointErrorsConfig(**{name: round(value, 4) for name, value in fields.items()})
    return DetectorErrorsConfig(
        **joints,
        slow_s=round(slow_s, 2),
        shared=round(_shared(residuals, tracks), 2),
        level_sd=round(_level_sd(residuals), 2),
        swapped=round(_share_of_windows(tracks, [np.any(track.exchanged, axis=1) for track in tracks]), 3),
        missing=round(_share_of_windows(tracks, [~np.all(track.visible, axis=1) for track in tracks]), 3),
    )


def _longest_lag(errors: Sequence[Float64[np.ndarray, "frames 12 2"]], fps: float) -> int:
    """The longest lag in frames: at most half of the longest track, so that changes over it can be measured."""
    return min(round(_LONGEST_LAG_S * fps), max(map(len, errors)) // 2)


def _robust_fit(
    directions: Float64[np.ndarray, "points shares"], error: Float64[np.ndarray, " points"]
) -> Float64[np.ndarray, " shares"]:
    """Shares of the directions that explain most errors, by least squares in which large residuals count less."""
    shares = np.zeros(directions.shape[1])
    weight = np.ones(len(error))
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        shares = np.linalg.lstsq(directions * root[:, None], error * root, rcond=None)[0]
        residuals = np.abs(error - directions @ shares)
        weight = 1 / np.maximum(1, residuals / (_USUAL * np.median(residuals)))
    return shares


def residuals_of(
    tracks: Sequence[MeasuredErrors], errors: DetectorErrorsConfig
) -> list[Float64[np.ndarray, "frames 12 2"]]:
    """The errors of each track without the joint map."""
    return _without_shifts(tracks, {part: (errors.of(part).outwards, errors.of(part).along) for part in PARTS})


def variogram(
    errors: Sequence[Float64[np.ndarray, "frames 12 2"]], fps: float, part: str
) -> Float64[np.ndarray, "lags 2"]:
    """Half the robust mean square by which errors change: rows of lag (s) and value."""
    columns, rows = columns_of(part), []
    for lag in range(1, _longest_lag(errors, fps) + 1):
        changes = [(error[lag:] - error[:-lag])[:, columns].ravel() for error in errors]
        square = np.nanmedian(np.concatenate(changes) ** 2) / _MEDIAN_SQUARE
        rows.append((lag / fps, square / 2))
    return np.array(rows)


def _shift(tracks: Sequence[MeasuredErrors], part: str) -> tuple[float, float]:
    """How far a detector sees a joint shifted outwards, and along its limb."""
    columns = columns_of(part)
    error, outwards, along = (
        np.concatenate([getattr(track, name)[:, columns].reshape(-1) for track in tracks])
        for name in ("error", "outwards", "along")
    )
    known = np.isfinite(error)
    directions = np.stack([outwards, along] if part in _TRUNK else [along], axis=1)[known]
    shares = _robust_fit(directions, error[known])
    return (float(shares[0]), float(shares[1])) if part in _TRUNK else (0.0, float(shares[0]))


def _without_shifts(
    tracks: Sequence[MeasuredErrors], shifts: Mapping[str, tuple[float, float]]
) -> list[Float64[np.ndarray, "frames 12 2"]]:
    outwards, along = np.array([shifts[part_of(joint)] for joint in LIMBS.joints]).T[:, :, None]
    return [track.error - outwards * track.outwards - along * track.along for track in tracks]


def _decompose(curves: dict[str, Float64[np.ndarray, "lags 2"]]) -> tuple[float, dict[str, tuple[float, float]]]:
    """The time constant that fits all variograms best, and the slow and the white error of each part."""
    best = min(_SLOW_S, key=lambda slow_s: sum(_fit(curve, slow_s)[1] for curve in curves.values()))
    return float(best), {part: _fit(curve, best)[0] for part, curve in curves.items()}


def _fit(curve: Float64[np.ndarray, "lags 2"], slow_s: float) -> tuple[tuple[float, float], float]:
    """The slow and the white error of a variogram, and how badly they fit, relative to its mean."""
    lags, values = curve.T
    shape = np.stack([1 - np.exp(-lags / slow_s), np.ones_like(lags)], axis=1)
    # Relative errors are fitted, so that large lags do not outweigh the small ones, which determine the white part.
    variances, misfit = nnls(shape / values[:, None], np.ones_like(values))
    slow, white = np.sqrt(variances)
    return (float(slow), float(white)), float(misfit)


def _means(errors: Sequence[Float64[np.ndarray, "frames 12 2"]], part: str) -> Float64[np.ndarray, "tracks_joints 2"]:
    """The median error of each track and joint that is seen."""
    part_errors = [error[:, columns_of(part)] for error in errors]
    means = [
        np.nanmedian(error[:, joint], axis=0)
        for error in part_errors
        for joint in (0, 1)
        if np.isfinite(error[:, joint]).any()
    ]
    return np.array(means).reshape(-1, 2)


def _windows(
    errors: Sequence[Float64[np.ndarray, "frames 12 2"]], fps: float
) -> list[Float64[np.ndarray, "window 12 2"]]:
    """The tracks cut into windows."""
    frames = round(_WINDOW_S * fps)
    return [error[start : start + frames] for error in errors for start in range(0, len(error) - frames + 1, frames)]


def _gross(errors: Float64[np.ndarray, "windows 2"], usual: float) -> tuple[float, float]:
    """The share of windows whose error is gross, and the root mean square of these along an axis."""
    gross = errors[np.linalg.norm(errors, axis=1) > _GROSS * usual]
    return len(gross) / len(errors), float(np.sqrt(np.mean(gross**2))) if len(gross) else 0.0


def _spread(values: Float64[np.ndarray, "*shape"]) -> float:
    """Robust standard deviation about 0."""
    return float(np.median(np.abs(values)) / _MEDIAN_ABSOLUTE)


def _shared(errors: Sequence[Float64[np.ndarray, "frames 12 2"]], tracks: Sequence[MeasuredErrors]) -> float:
    """Correlation of the changes of different joints over the longest lag, where the slow part dominates."""
    lag = _longest_lag(errors, tracks[0].fps)
    changes = np.concatenate([np.moveaxis(error[lag:] - error[:-lag], 2, 1).reshape(-1, 12) for error in errors])
    # Signs are robust: two normal variables with correlation r have the same sign with probability 1/2 + asin(r) / pi.
    signs = np.sign(changes)
    known = np.isfinite(changes).astype(float)
    agreement = np.nan_to_num(signs).T @ np.nan_to_num(signs) / np.maximum(known.T @ known, 1)
    correlation = np.sin(np.pi / 2 * agreement)[~np.eye(12, dtype=bool)]
    return float(np.clip(correlation.mean(), 0, 1))


def _level_sd(errors: Sequence[Float64[np.ndarray, "frames 12 2"]]) -> float:
    """Standard deviation over the tracks of the logarithm of how much errors change in a frame."""
    sizes = [np.nanmedian(np.abs(np.diff(error, axis=0))) for error in errors if np.isfinite(error).any()]
    return float(np.std(np.log([size for size in sizes if size > 0])))


def _share_of_windows(tracks: Sequence[MeasuredErrors], marked: Sequence[np.ndarray]) -> float:
    """The share of the windows that have a marked frame."""
    shares = []
    for track, marks in zip(tracks, marked, strict=True):
        frames = min(len(marks), round(_WINDOW_S * track.fps))
        shares.append(np.lib.stride_tricks.sliding_window_view(marks, frames).any(1))
    return float(np.concatenate(shares).mean())
