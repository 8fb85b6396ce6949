"""The people that each camera saw, sampled at common times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from pipelines.calibration.camera import Camera
from pipelines.tracks.keypoint_track import KeypointTrack

# Keypoints with a score below this are guesses, and are not used.
SEEN = 0.2
# Positions are not interpolated between frames that are farther apart than this many steps.
_LONGEST_STEP = 1.6


@dataclass(frozen=True)
class View:
    """What one camera saw.

    Attributes:
        camera: The camera, for pictures of the tracks' size.
        tracks: The people whom it saw, as they were linked over time.
    """

    camera: Camera
    tracks: Sequence[KeypointTrack]

    @property
    def times_s(self) -> Float64[np.ndarray, " frames"]:
        """Times of the camera's own frames in which somebody was seen, by its own clock."""
        return np.unique(np.concatenate([track.timestamps_s for track in self.tracks]))


@dataclass(frozen=True)
class Sampled:
    """The tracks of a view at common times; NaN and 0 where a joint was not seen.

    Attributes:
        camera: The camera.
        keypoints: Pixels.
        rays: The same without distortion, at depth 1.
        scores: Of each keypoint, 0 where it was not seen.
        heights: Height of the person in the picture, px: what an error of some pixels means.
    """

    camera: Camera
    keypoints: Float64[np.ndarray, "tracks frames joints 2"]
    rays: Float64[np.ndarray, "tracks frames joints 2"]
    scores: Float64[np.ndarray, "tracks frames joints"]
    heights: Float64[np.ndarray, " tracks"]

    @property
    def present(self) -> np.ndarray:
        """Whether anything of a track was seen, (tracks, frames)."""
        return np.asarray((self.scores > 0).any(-1))

    def exchanged(self, twisted: Bool[np.ndarray, "tracks frames"], mirror: Sequence[int]) -> "Sampled":
        """The same with left and right exchanged in some frames."""
        order = list(mirror)

        def turned(values: np.ndarray) -> np.ndarray:
            shape = twisted.reshape(*twisted.shape, *[1] * (values.ndim - 2))
            return np.where(shape, values[:, :, order], values)

        return replace(self, keypoints=turned(self.keypoints), rays=turned(self.rays), scores=turned(self.scores))


def sample(view: View, joints: Sequence[int], times_s: Float64[np.ndarray, " frames"], offset_s: float) -> Sampled:
    """The tracks of a view at some times.

    Args:
        view: The view.
        joints: Which joints of its tracks.
        times_s: The common times.
        offset_s: What is to be added to the camera's own times to have the common ones.
    """
    pairs = [_track_at(track, joints, times_s - offset_s) for track in view.tracks]
    keypoints, scores = (np.stack(parts) for parts in zip(*pairs, strict=True))
    heights = np.array([float(np.median(track.boxes[:, 3] - track.boxes[:, 1])) for track in view.tracks])
    return Sampled(view.camera, keypoints, view.camera.rays(keypoints), scores, np.maximum(heights, 1.0))


def _track_at(
    track: KeypointTrack, joints: Sequence[int], times_s: Float64[np.ndarray, " frames"]
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and scores of a track between its frames."""
    own = track.timestamps_s
    visible = (track.scores[:, joints] >= SEEN) & ~track.interpolated[:, None]
    if len(own) == 1:
        own = np.append(own, own + 1.0)
    after = np.clip(np.searchsorted(own, times_s), 1, len(own) - 1)
    # Times that differ only by rounding belong to one frame.
    share = np.clip((times_s - own[after - 1]) / (own[after] - own[after - 1]), 0, 1)
    share = np.where(abs(share - np.rint(share)) < 1e-3, np.rint(share), share)
    after = np.minimum(after, len(track) - 1)
    step = np.median(np.diff(own))
    inside = (times_s > own[0] - step / 2) & (times_s < own[-1] + step / 2)
    inside &= (own[after] - own[np.maximum(after - 1, 0)]) < _LONGEST_STEP * step
    before = np.maximum(after - 1, 0)
    known = inside[:, None] & (visible[before] | (share == 1)[:, None]) & (visible[after] | (share == 0)[:, None])
    points, certain = track.keypoints[:, joints].astype(np.float64), track.scores[:, joints].astype(np.float64)
    between = points[before] + share[:, None, None] * (points[after] - points[before])
    scores = np.minimum(
        np.where((share == 1)[:, None], np.inf, certain[before]),
        np.where((share == 0)[:, None], np.inf, certain[after]),
    )
    return np.where(known[..., None], between, np.nan), np.where(known, scores, 0.0)
