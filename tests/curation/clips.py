"""Clips of one person each, and what corpora do to them."""

from dataclasses import replace

import numpy as np
from datasets.moving_people import H36M, track, walking
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from pipelines.tracks.keypoint_track import KeypointTrack


def clip(seed: int, seconds: float = 6.0, fps: float = 25.0) -> KeypointTrack:
    """Somebody who walks on the spot and moves arms and legs in a way of their own, seen by a detector."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * fps)
    motion = walking(frames)
    for chain in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
        for side in ("left", "right"):
            first, middle, last = (H36M.index(f"{side}_{joint}") for joint in chain)
            upper, lower = motion[:, middle] - motion[:, first], motion[:, last] - motion[:, middle]
            motion[:, middle] = motion[:, first] + _swung(upper, rng, fps)
            motion[:, last] = motion[:, middle] + _swung(lower, rng, fps)
    keypoint_track = replace(track(motion, seed % 4), track_id=f"clip{seed}", video=f"clip{seed}.mp4")
    times = np.arange(frames) / fps
    return shaken(replace(keypoint_track, fps=fps, timestamps_s=times, positions=None, positions_layout=None), seed)


def _swung(bone: np.ndarray, rng: np.random.Generator, fps: float) -> np.ndarray:
    """A bone over time, turned this way and that."""
    turns = gaussian_filter1d(rng.normal(size=bone.shape), fps / 3, axis=0)
    return Rotation.from_rotvec(0.6 * turns / turns.std()).apply(bone)


def shaken(of: KeypointTrack, seed: int, px: float = 1.5, name: str | None = None) -> KeypointTrack:
    """The clip as a detector sees it after another encoding."""
    errors = np.random.default_rng((7, seed)).normal(0, px, of.keypoints.shape)
    keypoints = (of.keypoints + errors).astype(np.float32)
    return replace(of, keypoints=keypoints, track_id=name or of.track_id)


def cut(of: KeypointTrack, first: int, stop: int) -> KeypointTrack:
    """Some of the frames."""
    names = ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated")
    return replace(of, **{name: getattr(of, name)[first:stop] for name in names})


def mirror(of: KeypointTrack) -> KeypointTrack:
    """The picture mirrored; the detector calls the sides as it sees them."""
    order = list(H36M.mirror)
    keypoints = of.keypoints[:, order] * np.array([-1, 1], np.float32) + np.array([of.width, 0], np.float32)
    return replace(of, keypoints=keypoints, scores=of.scores[:, order])


def retime(of: KeypointTrack, speed: float) -> KeypointTrack:
    """The same pictures played faster."""
    return replace(of, fps=of.fps * speed, timestamps_s=of.timestamps_s / speed)


def crop(of: KeypointTrack) -> KeypointTrack:
    """The picture enlarged, so that the legs are outside."""
    scores = of.scores.copy()
    scores[:, [H36M.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]] = 0.05
    return replace(of, keypoints=of.keypoints * np.float32(1.7) - np.float32(300), scores=scores)
