"""Errors as a detector makes them beside those that training makes: over time, by frequency, by size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from pipelines.fit_noise.estimates import residuals_of, variogram
from pipelines.fit_noise.measured import LIMBS, MeasuredErrors, columns_of
from pipelines.sampling.detector_errors import DetectorErrors
from schemas.configs.made_views import PARTS, DetectorErrorsConfig

# The quantiles that are compared, in percent, and the windows of made errors that are drawn for it: their number, and
# their length, s.
_PERCENT = (50, 75, 90, 95, 99)
_MADE_WINDOWS, _MADE_S = 1000, 0.9
# The bands of the spectra, Hz, and the length of the pieces of which they are taken, s.
_BANDS_HZ = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 15.0))
_PIECE_S = 2.0


def variograms(measured: Sequence[MeasuredErrors], errors: DetectorErrorsConfig) -> dict[str, Any]:
    """Per part of the body: how much errors change over a lag, as a standard deviation, measured and estimated."""
    residuals, fps = residuals_of(measured, errors), measured[0].fps
    curves = {}
    for part in PARTS:
        lags, values = variogram(residuals, fps, part).T
        sizes = errors.of(part)
        estimated = sizes.slow**2 * (1 - np.exp(-lags / errors.slow_s)) + sizes.white**2
        curves[part] = {
            "lag_s": lags.round(4).tolist(),
            "measured": np.sqrt(values).round(5).tolist(),
            "estimated": np.sqrt(estimated).round(5).tolist(),
        }
    return curves


def quantiles(measured: Sequence[MeasuredErrors], errors: DetectorErrorsConfig) -> dict[str, Any]:
    """Per part of the body: how far joints are off along an axis, measured and in errors that training makes."""
    residuals = np.concatenate(residuals_of(measured, errors))
    made = made_errors(errors, measured[0].fps, _MADE_S)
    table: dict[str, Any] = {"percent": list(_PERCENT)}
    for part in PARTS:
        both = {"measured": residuals, "made": made}
        table[part] = {name: error_quantiles(values, part).round(5).tolist() for name, values in both.items()}
    return table


def error_quantiles(errors: Float64[np.ndarray, "*frames 12 2"], part: str) -> Float64[np.ndarray, " quantiles"]:
    """Quantiles of how far the joints of a part of the body are off along an axis."""
    return np.nanpercentile(np.abs(errors[..., columns_of(part), :]), _PERCENT)


def spectra(measured: Sequence[MeasuredErrors], errors: DetectorErrorsConfig) -> dict[str, Any]:
    """Per part of the body: how large errors are in bands of frequencies, measured and in errors that training makes.

    The median over pieces of two seconds without missing frames; a piece's size is the square root of its mean power in
    the band (Hann window). Bands that the frame rate does not reach are left out, and parts that are never seen for so
    long.
    """
    fps, residuals = measured[0].fps, residuals_of(measured, errors)
    made = list(made_errors(errors, fps, _PIECE_S))
    table: dict[str, Any] = {"bands_hz": [list(band) for band in _bands(fps)]}
    for part in PARTS:
        sizes = {name: spectrum(tracks, fps, part) for name, tracks in (("measured", residuals), ("made", made))}
        if all(map(len, sizes.values())):
            table[part] = {name: each.round(6).tolist() for name, each in sizes.items()}
    return table


def _bands(fps: float) -> list[tuple[float, float]]:
    return [band for band in _BANDS_HZ if band[0] < fps / 2]


def spectrum(
    errors: Sequence[Float64[np.ndarray, "frames 12 2"]], fps: float, part: str
) -> Float64[np.ndarray, " bands"]:
    """How large the errors of a part of the body are in each band; empty if it is never seen for long enough."""
    frames, columns = round(_PIECE_S * fps), columns_of(part)
    cuts = [
        track[start : start + frames, columns].reshape(frames, -1).T
        for track in errors
        for start in range(0, len(track) - frames + 1, frames)
    ]
    pieces = np.concatenate([np.empty((0, frames)), *cuts])
    pieces = pieces[np.isfinite(pieces).all(axis=1)]
    if not len(pieces):
        return np.empty(0)
    window = np.hanning(frames)
    power = np.abs(np.fft.rfft((pieces - pieces.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2
    power /= (window**2).sum() * frames / 2
    hz = np.fft.rfftfreq(frames, 1 / fps)
    sizes = [np.sqrt(power[:, (hz >= low) & (hz < high)].sum(axis=1)) for low, high in _bands(fps)]
    return np.median(sizes, axis=1)


def made_errors(errors: DetectorErrorsConfig, fps: float, seconds: float) -> Float64[np.ndarray, "windows frames 12 2"]:
    """Errors that training makes, as shares of the stature, without exchanged sides, which are measured apart."""
    frames = max(2, round(seconds * fps))
    without_swaps = errors.model_copy(update={"swapped": 0.0})
    model = DetectorErrors(without_swaps, LIMBS, frames, fps, torch.device("cpu"))
    still = torch.zeros(_MADE_WINDOWS, frames, len(LIMBS), 2)
    statures = torch.ones(_MADE_WINDOWS)
    return model.add(still, statures, torch.Generator().manual_seed(0)).double().numpy()
