"""A lifter behind MLflow's pyfunc: one person's 2D keypoints over time in, 3D positions out.

This file travels with every registered model, which is loaded where nothing of this repository is: it imports the
standard library, NumPy, PyTorch and MLflow, and nothing else. What it computes is `pipelines.lifters.inference.lift`
with the mirror image averaged, between the steps of `pipelines.tracks.resample` and `pipelines.pose.quality`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

# Frames predicted at once: memory grows with it, not with the track.
CHUNK_FRAMES = 1024
# Half image widths from its middle: farther off is no keypoint, and squares of it soon no number.
MOST_SCREEN = 1000
# As `pipelines.lift.timing` has it: frames so far apart that nearly all at the lifter's rate would be made up.
MOST_STRETCH, ALWAYS_ALLOWED_FRAMES = 64, 10_000
# As `pipelines.tracks.resample` has them: rates so near are one, instants so near to a frame (in frames) are it.
_RATE_TOLERANCE = 0.01
_SNAP = 1e-3
# As `pipelines.pose.quality` has it.
_TINY = 1e-6


class ServedLifter(PythonModel):
    """Loads the exported network and its card; no class of the lifter is needed."""

    # MLflow would warn, wherever the model is loaded, that hints do not say its input; its signature does.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Read what lies beside this file.

        Args:
            context: MLflow's, with the paths of `network` and `card`.
        """
        self.card: dict[str, Any] = json.loads(Path(context.artifacts["card"]).read_text(encoding="utf-8"))
        self.network = torch.export.load(context.artifacts["network"]).module()

    def predict(self, context: Any, model_input, params: Any = None) -> Any:  # noqa: ANN001
        """Lift one track.

        Args:
            context: MLflow's, not used.
            model_input: `keypoints` (frames, joints, 2 or 3): x, y in pixels and, third, the score from 0 to 1;
                `width` and `height` of the image, pixels; `fps`, frames per second.
            params: None are known.

        Returns:
            For each frame given: `positions` (frames, joints, 3), metres relative to the root, camera axes (x right,
            y down, z forward); `trajectory` (frames, 3), the root in camera space, metres, if the lifter predicts it;
            `bone_length_deviation` (frames,), mean over bones of |length / median length over the track - 1|;
            `reprojection_px` (frames,), mean distance of keypoints and positions, those scaled and shifted to fit
            best in each frame (weak perspective), if the two layouts share joints.

        Raises:
            MlflowException: An input that breaks a rule; the message names it.
        """
        card = self.card
        keypoints = _checked_keypoints(card, model_input)
        width, height, fps = (_checked_number(model_input, name) for name in ("width", "height", "fps"))
        screen = _to_screen(keypoints[..., :2], width, height)
        if (far := abs(screen).max(axis=(1, 2)) > MOST_SCREEN).any():
            raise _refused(
                f"keypoints: of frame {int(far.argmax())} lie more than {MOST_SCREEN} half image widths off; "
                "give pixels"
            )
        inputs = np.concatenate([screen, keypoints[..., 2:]], axis=2)[..., : card["features"]]
        known = _instants(len(keypoints), fps, card["fps"])
        lifted = self._lift(inputs if known is None else _resampled(inputs, known))
        if known is not None:
            lifted = [_at_frames(values, known, len(keypoints)) for values in lifted]
        if not all(np.isfinite(values).all() for values in lifted):
            raise _refused("the lifter predicts numbers that are not finite; take another version")
        found = dict(zip(("positions", "trajectory"), lifted, strict=False))
        return found | _quality(card, found["positions"], screen, width)

    def _lift(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Positions and, if predicted, trajectory at the lifter's rate, piece by piece."""
        card, frames = self.card, len(inputs)
        track = torch.from_numpy(inputs.astype(np.float32))
        seen = card["receptive_field"] - 1
        before = seen if card["causal"] else seen // 2
        chunk = max(CHUNK_FRAMES, card["least_frames"] - seen)
        if card["most_frames"] is not None:
            chunk = min(chunk, card["most_frames"] - seen)
        pieces = []
        for start in range(0, frames, chunk):
            wanted = min(chunk, frames - start)
            read = torch.arange(max(wanted + seen, card["least_frames"])) + (start - before)
            with torch.inference_mode():
                # Beyond its ends the track repeats its end frames.
                predicted = self.network(track[read.clamp(0, frames - 1)])
            pieces.append([values[:wanted].numpy() for values in predicted])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


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
        raise _refused("keypoints: hold no frame; give one or more")
    finite = np.isfinite(keypoints).all(axis=(1, 2))
    if not finite.all():
        raise _refused(f"keypoints: of frame {int(finite.argmin())} are not finite; fill gaps before lifting")
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
        return np.asarray(given[name], np.float64)
    except (TypeError, ValueError) as error:
        raise _refused(f"{name}: are no numbers, or rows of unequal length: {error}") from error


def _refused(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


def _to_screen(points_px: np.ndarray, width: float, height: float) -> np.ndarray:
    """Pixels to screen units: x in [-1, 1] across the width, y on the same scale."""
    return (2 * points_px - (width, height)) / width


def _instants(frames: int, fps: float, lifter_fps: float) -> np.ndarray | None:
    """When the lifter sees the track, in frames of it, the last one included; None: at each of its frames."""
    if abs(lifter_fps / fps - 1) <= _RATE_TOLERANCE or frames == 1:
        return None
    if (frames - 1) / fps * lifter_fps > MOST_STRETCH * frames + ALWAYS_ALLOWED_FRAMES:
        raise _refused(f"fps={fps:g}: frames are too far apart, the lifter works at {lifter_fps:g}; give more frames")
    count = int((frames - 1) / fps * lifter_fps + _SNAP) + 1
    instants = np.arange(count) * (fps / lifter_fps)
    near = np.round(instants)
    instants = np.where(abs(instants - near) < _SNAP, near, instants)
    return instants if instants[-1] == frames - 1 else np.append(instants, frames - 1.0)


def _resampled(inputs: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Points between frames; of scores the lower one."""
    left = np.floor(instants).astype(np.int64)
    right, share = np.ceil(instants).astype(np.int64), (instants - left)[:, None, None]
    points = inputs[left, :, :2] + share * (inputs[right, :, :2] - inputs[left, :, :2])
    return np.concatenate([points, np.minimum(inputs[left, :, 2:], inputs[right, :, 2:])], axis=2)


def _at_frames(values: np.ndarray, instants: np.ndarray, frames: int) -> np.ndarray:
    """Predictions for instants as those of the track's frames, between them linearly."""
    wanted = np.arange(frames)
    right = np.clip(np.searchsorted(instants, wanted, side="right"), 1, len(instants) - 1)
    left = right - 1
    share = ((wanted - instants[left]) / (instants[right] - instants[left])).astype(values.dtype)
    return values[left] + share.reshape(-1, *[1] * (values.ndim - 1)) * (values[right] - values[left])


def _quality(card: Mapping[str, Any], positions: np.ndarray, screen: np.ndarray, width: float) -> dict[str, np.ndarray]:
    child, parent = np.array(card["bones"]).T
    lengths = np.linalg.norm(positions[:, child] - positions[:, parent], axis=-1)
    deviation = abs(lengths / np.maximum(np.median(lengths, axis=0), _TINY) - 1).mean(-1)
    found = {"bone_length_deviation": deviation.astype(np.float32)}
    if card["shared_joints"]:
        own, seen = np.array(card["shared_joints"]).T
        shape, target = (points - points.mean(1, keepdims=True) for points in (positions[:, own, :2], screen[:, seen]))
        energy = np.maximum((shape**2).sum((1, 2), keepdims=True), _TINY)
        scale = np.maximum((shape * target).sum((1, 2), keepdims=True) / energy, 0)
        distance = np.linalg.norm(scale * shape - target, axis=-1).mean(-1)
        found["reprojection_px"] = (distance * width / 2).astype(np.float32)
    return found


set_model(ServedLifter())
