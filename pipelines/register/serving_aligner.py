"""Serves an aligner as an MLflow pyfunc model: 2D keypoints of one person over time in, an embedding of each frame out.

This file is copied into every registered aligner, which is loaded without this repository. It therefore imports only
the standard library, NumPy, PyTorch and MLflow, and repeats what it needs of `pipelines.tracks.resample`,
`pipelines.tracks.normalised` and `pipelines.aligners.base.embed`.
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

# A request has at most this many frames, an hour at 100 frames/s.
MOST_FRAMES = 360_000
INPUTS = ("keypoints", "fps")
# The same values as in `pipelines.tracks`: the score of a joint that was seen, and the smallest trunk, px.
UNSEEN, SMALLEST_PX = 0.3, 1.0
# The same tolerances as in `pipelines.tracks.resample`.
_RATE_TOLERANCE, _SNAP, MOST_STRETCH, ALWAYS_ALLOWED_FRAMES = 0.01, 1e-3, 64, 10_000


class _Refused(MlflowException):
    """A rule that a request breaks. MLflow's server puts the whole request before a message; here the rule stays."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.rpartition("'. \nError: ")[2] if name == "message" else value)


_refused = _Refused.invalid_parameter_value


class ServedAligner(PythonModel):
    """The model that MLflow loads: the exported network and its card, without the network's class."""

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
        """Embed one track.

        Args:
            context: MLflow's context, not used.
            model_input: `keypoints` (frames, joints, 2 or 3): x, y in pixels and, third, the score from 0 to 1, of the
                joints that the card names; `fps`, frames per second. Numbers of any type, arrays or lists.
            params: Not used.

        Returns:
            At the rate of the card: `times_s` (frames,), seconds after the first frame; `embeddings` (frames,
            dimensions).

        Raises:
            MlflowException: An input that breaks a rule; the message names it.
        """
        points, visible, fps = self._checked(model_input)
        points, visible = _at_rate(points, visible, fps, self.card["fps"])
        poses = _filled(self._normalised(points, visible))
        half = self.card["window"] // 2
        if len(poses) < max(2, self.card["window"]):
            raise _refused(
                f"keypoints: last {len(poses) / self.card['fps']:.2f} s, and the aligner sees "
                f"{self.card['window'] / self.card['fps']:.2f} s at once; give more frames"
            )
        padded = np.concatenate([poses[:1].repeat(half, axis=0), poses, poses[-1:].repeat(half, axis=0)])
        with torch.inference_mode():
            embeddings = self.network(torch.from_numpy(padded[None]))[0].numpy()
        return {"times_s": np.arange(len(poses)) / self.card["fps"], "embeddings": embeddings}

    def _checked(self, given: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, float]:
        """Points, whether each was seen, and the frame rate."""
        keypoints, fps = (_numbers(given, name) for name in INPUTS)
        joints, shape = self.card["joints"], "×".join(map(str, keypoints.shape))
        if keypoints.ndim != 3 or keypoints.shape[1] != len(joints) or keypoints.shape[2] not in (2, 3):
            raise _refused(
                f"keypoints: have shape {shape}, must be frames × {len(joints)} joints ({', '.join(joints)}) × 2 "
                "(x, y) or 3 (x, y, score)"
            )
        if not 0 < len(keypoints) <= MOST_FRAMES:
            raise _refused(f"keypoints: {len(keypoints):,} frames, must be 1 to {MOST_FRAMES:,}")
        if fps.size != 1 or not np.isfinite(fps).all() or fps.item() <= 0:
            raise _refused(f"fps={np.array2string(fps, threshold=4)}: must be one number above 0")
        scores = keypoints[..., 2] if keypoints.shape[2] == 3 else np.ones(keypoints.shape[:2])
        visible = np.isfinite(keypoints[..., :2]).all(axis=2) & (scores >= UNSEEN)
        return keypoints[..., :2], np.asarray(visible), float(fps.item())

    def _normalised(self, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Points relative to the middle of the trunk, in trunk sizes; NaN where a joint was not seen."""
        points = np.where(visible[..., None], points, np.nan)
        trunk = points[:, self.card["trunk"]]
        middle = trunk.mean(axis=1, keepdims=True)
        size = 2 * np.sqrt(((trunk - middle) ** 2).sum(axis=-1).mean(axis=1))
        poses = (points - middle) / np.where(size > SMALLEST_PX, size, np.nan)[:, None, None]
        if not np.isfinite(poses).any():
            raise _refused("keypoints: shoulders and hips are never seen together; give another track")
        return poses.reshape(len(poses), -1)


def _filled(poses: np.ndarray) -> np.ndarray:
    """Interpolate unknown values linearly in time; values that are never known become 0."""
    frames = np.arange(len(poses))
    for column in poses.T:
        known = np.isfinite(column)
        column[:] = np.interp(frames, frames[known], column[known]) if known.any() else 0.0
    return poses.astype(np.float32)


def _at_rate(points: np.ndarray, visible: np.ndarray, fps: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Points interpolated linearly in time; a joint counts as seen if both neighbouring frames show it."""
    if len(points) == 1 or abs(rate / fps - 1) <= _RATE_TOLERANCE:
        return points, visible
    count = (len(points) - 1) / fps * rate + _SNAP + 1
    if count > MOST_STRETCH * len(points) + ALWAYS_ALLOWED_FRAMES:
        raise _refused(f"fps={fps:g}: frames are too far apart, the aligner works at {rate:g}; give more frames")
    instants = np.arange(int(count)) * (fps / rate)
    near = np.round(instants)
    instants = np.where(abs(instants - near) < _SNAP, near, instants).clip(0, len(points) - 1)
    left, right = np.floor(instants).astype(np.int64), np.ceil(instants).astype(np.int64)
    share = (instants - left)[:, None, None]
    return points[left] + share * (points[right] - points[left]), visible[left] & visible[right]


def _numbers(given: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in given:
        raise _refused(f"{name}: is missing; give keypoints and fps")
    try:
        return np.asarray(given[name], np.float64)
    except (TypeError, ValueError) as error:
        raise _refused(f"{name}: must be numbers, in rows of equal length: {error}") from error


set_model(ServedAligner())
