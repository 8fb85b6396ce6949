"""Serves a lifter as an MLflow pyfunc model: 2D keypoints of one person over time in, 3D positions out.

This file is copied into every registered model, which is loaded without this repository. It therefore imports only the
standard library, NumPy, PyTorch and MLflow, and repeats what it needs of `pipelines.tracks.resample`,
`pipelines.lifters.inference.lift` (averaged with the mirror image) and `pipelines.pose.quality`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

# Frames predicted in one step, which limits the memory for long tracks.
CHUNK_FRAMES = 1024
# Largest distance of a keypoint from the image's centre, in half image widths. Larger ones are mistakes, and their
# squares may overflow.
MAX_SCREEN = 1000
# The same limits as in `pipelines.tracks.resample`: the largest number of resampled frames per given frame, and a
# number that is always allowed. Beyond them, nearly all frames would be interpolated.
MAX_STRETCH, ALWAYS_ALLOWED_FRAMES = 64, 10_000
# As in `pipelines.tracks.resample`: rates that differ by less count as equal, times nearer to a frame (frames) as its.
_RATE_TOLERANCE = 0.01
_SNAP = 1e-3
# The same values as in `pipelines.pose.in_picture` and, the score of a joint that was seen, `pipelines.tracks`.
LARGEST_SHARE, BEYOND, LEAST_WITHIN, UNSEEN, SMALLEST_SPREAD_PX = 2.0, 0.25, 0.5, 0.3, 0.5
# A request has at most this many frames, an hour at 100 frames/s; answers take ten times the memory of requests.
MOST_FRAMES = 360_000
INPUTS = ("keypoints", "width", "height", "fps")
_TINY = 1e-6  # as in `pipelines.pose.quality`


class _Refused(MlflowException):
    """A rule that a request breaks. MLflow's server puts the whole request before a message; here the rule stays."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.rpartition("'. \nError: ")[2] if name == "message" else value)


_refused = _Refused.invalid_parameter_value


class ServedLifter(PythonModel):
    """The model that MLflow loads: the exported network and its card, without the lifter's class."""

    # The signature describes the input; without this, MLflow warns at every loading that type hints do not.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Load the network and its card.

        Args:
            context: MLflow's context, with the paths of `network` and `card`.
        """
        self.card: dict[str, Any] = json.loads(Path(context.artifacts["card"]).read_text(encoding="utf-8"))
        self.network = torch.export.load(context.artifacts["network"]).module()

    def predict(self, context: Any, model_input, params: Any = None) -> Any:  # noqa: ANN001
        """Lift one track, or several.

        Args:
            context: MLflow's context, not used.
            model_input: `keypoints` (frames, joints, 2 or 3): x, y in pixels and, third, the score from 0 to 1;
                `width` and `height` of the image, pixels; `fps`, frames per second. Numbers of any type, arrays or
                lists. Several tracks are a list of these, a table with a row for each, or arrays with one more axis.
            params: Not used.

        Returns:
            Of several tracks, a list. For each frame given: `positions` (frames, joints, 3), metres relative to the
            root, camera axes (x right, y down, z forward); `trajectory` (frames, 3), the root in camera space, metres,
            if the lifter predicts it; `bone_length_deviation` (frames,), mean over bones of |length / median length
            over the track - 1|; `reprojection_px` (frames,), mean distance of keypoints and positions, those scaled
            and shifted to fit best in each frame (weak perspective), if the two layouts share joints.

        Raises:
            MlflowException: An input that breaks a rule; the message names it.
        """
        tracks = several(model_input)
        require_size([model_input] if tracks is None else tracks)
        if tracks is None:
            return self._lift_track(model_input)
        lifted = []
        for number, track in enumerate(tracks):
            try:
                lifted.append(self._lift_track(track))
            except MlflowException as error:
                raise _refused(f"track {number} of {len(tracks)}: {error.message}") from error
        return lifted

    def _lift_track(self, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
        inputs, track = prepared(self.card, given)
        return finished(self.card, track, self._lift(inputs))

    def _lift(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Predict positions and, if the lifter does, the trajectory at the lifter's frame rate, chunk by chunk."""
        card, window, frames = self.card, self.card["window"], len(inputs)
        track = torch.from_numpy(inputs.astype(np.float32))
        if window["outputs"] > 1:
            return self._lift_clips(track)
        context = window["inputs"] - 1
        chunk = max(CHUNK_FRAMES, card["least_frames"] - context)
        if card["most_frames"] is not None:
            chunk = min(chunk, card["most_frames"] - context)
        pieces = []
        for start in range(0, frames, chunk):
            wanted = min(chunk, frames - start)
            read = torch.arange(max(wanted + context, card["least_frames"])) + (start - window["offset"])
            with torch.inference_mode():
                # Beyond the ends of the track, its first and last frames are repeated.
                predicted = self.network(track[read.clamp(0, frames - 1)])
            pieces.append([values[:wanted].numpy() for values in predicted])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def _lift_clips(self, track: torch.Tensor) -> list[np.ndarray]:
        """Predict overlapping clips, and average with weights that fall from a clip's middle to its ends."""
        length, least = len(track), self.card["least_frames"]
        frames = min(length, self.card["window"]["inputs"])
        places = torch.arange(frames)
        weights = torch.minimum(places + 1, frames - places).float()
        sums, total = [], torch.zeros(length)
        for start in [*range(0, length - frames, max(1, frames // 3)), length - frames]:
            clip = slice(start, start + frames)
            # A track shorter than the shortest clip is padded with its last frame.
            read = torch.arange(max(frames, least)).clamp(max=frames - 1) + start
            with torch.inference_mode():
                predicted = [values[:frames] for values in self.network(track[read])]
            sums = sums or [torch.zeros(length, *values.shape[1:]) for values in predicted]
            for summed, values in zip(sums, predicted, strict=True):
                summed[clip] += values * weights.view(-1, *[1] * (values.ndim - 1))
            total[clip] += weights
        return [(summed / total.view(-1, *[1] * (summed.ndim - 1))).numpy() for summed in sums]


def prepared(card: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Check a track; returns what the network reads (frames, joints, features) and what `finished` needs to know."""
    keypoints = _checked_keypoints(card, given)
    width, height, fps = (_checked_number(given, name) for name in ("width", "height", "fps"))
    # In screen units, x is in [-1, 1] across the width, and y has the same scale.
    screen = (2 * keypoints[..., :2] - (width, height)) / width
    if (far := abs(screen).max(axis=(1, 2)) > MAX_SCREEN).any():
        raise _refused(f"keypoints: frame {far.argmax()} is over {MAX_SCREEN} half image widths outside; give pixels")
    points = keypoints[..., :2] if keypoints.shape[2] == 2 else keypoints[keypoints[..., 2] >= UNSEEN][:, :2]
    if reason := why_not_pixels(points.reshape(-1, 2), width, height):
        raise _refused(f"keypoints: {reason}")
    places = screen * _slope_of_screen_unit(card, width, height)
    inputs = np.concatenate([places, keypoints[..., 2:]], axis=2)[..., : card["features"]]
    known = _instants(len(keypoints), fps, card["fps"])
    return inputs if known is None else _resampled(inputs, known), (known, screen, width)


def finished(card: Mapping[str, Any], track: tuple[Any, ...], lifted: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The answer of a track that was `prepared`, from what the network predicts."""
    known, screen, width = track
    if known is not None:
        lifted = [_at_frames(values, known, len(screen)) for values in lifted]
    if not all(np.isfinite(values).all() for values in lifted):
        raise _refused("the lifter predicts numbers that are not finite; take another version")
    return dict(zip(("positions", "trajectory"), lifted, strict=False)) | _quality(card, lifted[0], screen, width)


def several(given: Any) -> list[Mapping[str, Any]] | None:
    """The tracks of a request for several; single values apply to all of them. None for a request for one."""
    if hasattr(given, "to_dict"):  # it is a DataFrame
        return given.to_dict("records")
    if not isinstance(given, Mapping):
        return list(given)
    if _numbers(given, "keypoints").ndim != 4:
        return None
    columns = {name: _numbers(given, name) for name in INPUTS}
    tracks = len(columns["keypoints"])
    counts = {name: len(values) for name, values in columns.items() if values.ndim}
    if wrong := [name for name, count in counts.items() if count not in (1, tracks)]:
        raise _refused(f"{wrong[0]}: has {counts[wrong[0]]} values for {tracks} tracks; give one, or one for each")
    return [
        {name: values[number] if counts.get(name) == tracks else values for name, values in columns.items()}
        for number in range(tracks)
    ]


def require_size(tracks: list[Mapping[str, Any]]) -> None:
    """Refuse a request of more frames than fit into memory."""
    given: list[Any] = [track.get("keypoints") for track in tracks if hasattr(track, "get")]
    if (frames := sum(len(keypoints) for keypoints in given if hasattr(keypoints, "__len__"))) > MOST_FRAMES:
        raise _refused(f"keypoints: {frames:,} frames in one request, at most {MOST_FRAMES:,}; send them in parts")


def why_not_pixels(points: np.ndarray, width: float, height: float) -> str | None:
    """Why joints cannot belong to people in a picture: as in `pipelines.pose.in_picture`."""
    if not len(points) or max(width, height) <= LARGEST_SHARE:
        return None
    if abs(points).max() <= LARGEST_SHARE:
        return "are shares of the picture's size, not pixels; multiply x by its width and y by its height"
    size_wh = np.array([[width, height]])
    within = np.all((points >= -BEYOND * size_wh) & (points <= (1 + BEYOND) * size_wh), axis=-1).mean()
    if within >= LEAST_WITHIN:
        alone = len(points) > 1 and np.ptp(points, axis=0).max() < SMALLEST_SPREAD_PX
        return "all lie on one point, where no person is; give the keypoints of each joint" if alone else None
    low, high = np.percentile(points, (1, 99), axis=0).round()
    return (
        f"lie outside pictures of {width:g} × {height:g} px: {1 - within:.0%} of them (they span {low[0]:.6g} to "
        f"{high[0]:.6g} and {low[1]:.6g} to {high[1]:.6g}); give the size of the pictures that they were found in"
    )


def _checked_keypoints(card: Mapping[str, Any], given: Mapping[str, Any]) -> np.ndarray:
    keypoints, joints = _numbers(given, "keypoints"), len(card["input_joints"])
    shape = "×".join(map(str, keypoints.shape))
    if keypoints.ndim != 3 or keypoints.shape[1] != joints or keypoints.shape[2] not in (2, 3):
        raise _refused(
            f"keypoints: have shape {shape}, must be frames × {joints} joints of {card['input_layout']} × 2 (x, y) "
            "or 3 (x, y, score)"
        )
    if keypoints.shape[2] < card["features"]:
        raise _refused(f"keypoints: have shape {shape}, but this lifter reads scores: give x, y and score")
    if not len(keypoints):
        raise _refused("keypoints: have no frames; give one or more")
    if not (finite := np.isfinite(keypoints).all(axis=(1, 2))).all():
        raise _refused(f"keypoints: those of frame {int(finite.argmin())} are not finite; fill gaps before lifting")
    return keypoints


def _checked_number(given: Mapping[str, Any], name: str) -> float:
    value = _numbers(given, name)
    if value.size != 1 or not np.isfinite(value).all() or value.item() <= 0:
        raise _refused(f"{name}={np.array2string(value, threshold=4)}: must be one number above 0")
    return float(value.item())


def _numbers(given: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in given:
        raise _refused(f"{name}: is missing; give keypoints, width, height and fps")
    try:
        return np.asarray(_unnested(given[name]), np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(f"{name}: must be numbers, in rows of equal length: {error}") from error


def _unnested(value: Any) -> Any:
    """Convert arrays of arrays, which tables of Spark and Parquet hold, to lists."""
    return [_unnested(each) for each in value] if isinstance(value, np.ndarray) and value.dtype == object else value


def _slope_of_screen_unit(card: Mapping[str, Any], width: float, height: float) -> float:
    """Person-centred lifters read slopes of viewing rays, with an assumed field of view along the longer side."""
    fov_deg = card.get("assumed_fov_deg")
    return 1.0 if fov_deg is None else math.tan(math.radians(fov_deg) / 2) * width / max(width, height)


def _instants(frames: int, fps: float, lifter_fps: float) -> np.ndarray | None:
    """The times, in frames of the track, at which the lifter gets keypoints, with the last frame; None: every frame."""
    if abs(lifter_fps / fps - 1) <= _RATE_TOLERANCE or frames == 1:
        return None
    if (frames - 1) / fps * lifter_fps > MAX_STRETCH * frames + ALWAYS_ALLOWED_FRAMES:
        raise _refused(f"fps={fps:g}: frames are too far apart, the lifter works at {lifter_fps:g}; give more frames")
    count = int((frames - 1) / fps * lifter_fps + _SNAP) + 1
    instants = np.arange(count) * (fps / lifter_fps)
    near = np.round(instants)
    instants = np.where(abs(instants - near) < _SNAP, near, instants)
    return instants if instants[-1] == frames - 1 else np.append(instants, frames - 1.0)


def _resampled(inputs: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Interpolate points linearly between frames; scores are the lower ones of both frames."""
    left = np.floor(instants).astype(np.int64)
    right, share = np.ceil(instants).astype(np.int64), (instants - left)[:, None, None]
    points = inputs[left, :, :2] + share * (inputs[right, :, :2] - inputs[left, :, :2])
    return np.concatenate([points, np.minimum(inputs[left, :, 2:], inputs[right, :, 2:])], axis=2)


def _at_frames(values: np.ndarray, instants: np.ndarray, frames: int) -> np.ndarray:
    """Interpolate predictions linearly at the track's frames."""
    wanted = np.arange(frames)
    left = np.clip(np.searchsorted(instants, wanted, side="right"), 1, len(instants) - 1) - 1
    right = left + 1
    share = ((wanted - instants[left]) / (instants[right] - instants[left])).astype(values.dtype)
    return values[left] + share.reshape(-1, *[1] * (values.ndim - 1)) * (values[right] - values[left])


def _quality(card: Mapping[str, Any], positions: np.ndarray, screen: np.ndarray, width: float) -> dict[str, np.ndarray]:
    child, parent = np.array(card["bones"]).T
    lengths = np.linalg.norm(positions[:, child] - positions[:, parent], axis=-1)
    deviation = abs(lengths / np.maximum(np.median(lengths, axis=0), _TINY) - 1).mean(-1)
    quality = {"bone_length_deviation": deviation.astype(np.float32)}
    if card["shared_joints"]:
        own, given = np.array(card["shared_joints"]).T
        shape, target = (points - points.mean(1, keepdims=True) for points in (positions[:, own, :2], screen[:, given]))
        energy = np.maximum((shape**2).sum((1, 2), keepdims=True), _TINY)
        scale = np.maximum((shape * target).sum((1, 2), keepdims=True) / energy, 0)
        distance = np.linalg.norm(scale * shape - target, axis=-1).mean(-1)
        quality["reprojection_px"] = (distance * width / 2).astype(np.float32)
    return quality


set_model(ServedLifter())
