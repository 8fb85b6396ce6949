"""MediaPipe's own 3D landmarks on people of a multi-view recording, for `multiview.py` to score.

It runs in an environment of its own, as MediaPipe needs an older NumPy than Raylift:

    python3 -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21
    /tmp/mediapipe/bin/python benchmarks/mediapipe_world.py FOLDER REFERENCE.npz OUTPUT.npz

Each person of each view is cut out by the box of their projected reference, since MediaPipe looks for one person. The
file: `<view>.<person>` (frames, 33, 3), world landmarks in metres, NaN where nobody is found.
"""

import sys
from pathlib import Path

import cv2
import mediapipe  # pyright: ignore[reportMissingImports] (of an environment of its own)
import numpy as np

# Around the box of the joints, as a share of its longer side: heads, hands and feet reach out.
MARGIN = 0.3


def main(folder: Path, reference_file: Path, output: Path) -> None:
    """Run MediaPipe's full pose model with its smoothing over each person of each view."""
    reference = np.load(reference_file)
    results = {}
    for number, view in enumerate(reference["views"]):
        frames = read(folder / f"{view}.mp4")
        for person, positions in enumerate(reference["positions"]):
            if not reference["visible"][person, number]:
                continue
            camera = [reference[name][number] for name in ("rotations", "translations", "matrices", "distortions")]
            results[f"{view}.{person}"] = landmarks(frames, crop_of(positions, camera, frames[0].shape))
    np.savez_compressed(output, **results)


def read(video: Path) -> list[np.ndarray]:
    """All frames, RGB."""
    capture, frames = cv2.VideoCapture(str(video)), []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def crop_of(positions: np.ndarray, camera: list[np.ndarray], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """One crop for all frames of a person: rows and columns."""
    rotation, translation, matrix, distortion = camera
    angles, _ = cv2.Rodrigues(rotation)
    points = positions.reshape(-1, 3)
    pixels, _ = cv2.projectPoints(points[np.isfinite(points).all(1)], angles, translation, matrix, distortion)
    low, high = pixels[:, 0].min(0), pixels[:, 0].max(0)
    margin = MARGIN * (high - low).max()
    (left, top), (right, bottom) = np.maximum(low - margin, 0).astype(int), (high + margin).astype(int)
    return slice(top, min(bottom, shape[0])), slice(left, min(right, shape[1]))


def landmarks(frames: list[np.ndarray], crop: tuple[slice, slice]) -> np.ndarray:
    """World landmarks of each frame."""
    result = np.full((len(frames), 33, 3), np.nan)
    with mediapipe.solutions.pose.Pose(model_complexity=1, smooth_landmarks=True) as pose:
        for number, frame in enumerate(frames):
            world_landmarks = pose.process(np.ascontiguousarray(frame[crop])).pose_world_landmarks
            if world_landmarks is not None:
                result[number] = [(mark.x, mark.y, mark.z) for mark in world_landmarks.landmark]
    return result


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
