"""How good 3D from a single view is, on a real recording by several calibrated cameras.

python benchmarks/multiview_reference.py FOLDER reference.npz
python benchmarks/multiview.py FOLDER reference.npz OUTPUT [mediapipe=landmarks.npz] [model=… any field of jobs.lift]

With `model=` each view is lifted by `jobs.lift` into OUTPUT/<view>; with `mediapipe=` the landmarks that
`mediapipe_world.py` wrote are scored by the same rules. A lifted track belongs to the person whose projected reference
its keypoints are nearest to. Scores, over 12 limb joints and the frames in which at least 10 of them are known:

- PA: distance after the best similarity of each frame (P-MPJPE), mm;
- root: distance relative to the middle of the hips, in the camera's axes, mm;
- acceleration: difference of the accelerations relative to the hips, m/s²;
- bones: standard deviation of the length of each limb bone over its mean, %, mean over the bones;
- frames: share of the frames of the reference that have a pose, %.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pyarrow.dataset

from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import load_lifter
from pipelines.mlflow_runs import model_uris
from pipelines.pose.joint_map import joint_map
from pipelines.tracks.lifted_reader import read_lifted
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import LAYOUTS, layout

BONES = [
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]
FEWEST_JOINTS = 10
# A track farther away from every person of the reference, px (median over joints and frames), is somebody else's.
FARTHEST_PX = 100.0

Poses = Mapping[str, np.ndarray]
"""Positions (frames, joints, 3) in metres and camera axes, by person; NaN where there is none."""


def main(folder: Path, reference_file: Path, output: Path, options: list[str]) -> None:
    """Score every view and print a table."""
    reference = np.load(reference_file)
    mediapipe = [option.partition("=")[2] for option in options if option.startswith("mediapipe=")]
    fields = [option for option in options if not option.startswith("mediapipe=")]
    print(f"{'view':<8}{'person':<9}{'PA, mm':>9}{'root, mm':>10}{'acc, m/s²':>11}{'bones, %':>10}{'frames, %':>11}")
    rows = []
    for number, view in enumerate(map(str, reference["views"])):
        truth = {
            str(person): in_camera(positions, reference, number)
            for person, positions in enumerate(reference["positions"])
            if reference["visible"][person, number]
        }
        if mediapipe:
            poses = from_mediapipe(np.load(mediapipe[0]), view, reference)
        else:
            poses = from_lift(folder / f"{view}.mp4", output / view, fields, reference, number)
        for person, positions in truth.items():
            row = score(poses[person], positions, reference) if person in poses else [np.nan] * 4 + [0.0]
            rows.append(row)
            print(f"{view:<8}{person:<9}" + line(row), flush=True)
    print(f"{'mean':<17}" + line(np.nanmean(rows, axis=0).tolist()))


def line(row: list[float]) -> str:
    """The numbers of a row."""
    return "".join(
        f"{value:>{width}.{digits}f}"
        for value, width, digits in zip(row, (9, 10, 11, 10, 11), (1, 1, 1, 1, 0), strict=True)
    )


def in_camera(positions: np.ndarray, reference: Mapping[str, np.ndarray], view: int) -> np.ndarray:
    """World positions in the axes and at the place of a camera, metres."""
    return positions @ reference["rotations"][view].T + reference["translations"][view]


def from_lift(video: Path, output: Path, fields: list[str], reference: Mapping[str, np.ndarray], view: int) -> Poses:
    """Lift a view by the lift job, and find out which person each track is."""
    assert run_job("lift", [f"video={video}", f"output={output}", *fields]) == 0
    model = next((field.partition("=")[2] for field in fields if field.startswith("model=")), "everyday")
    _, card = load_lifter(model_uris.fetch(model).file)
    # The reference has the joints where detectors see them, so the lifter's are moved there too.
    names, body = [str(joint) for joint in reference["joints"]], layout(card.output_layout)
    to_detector = joint_map(body, names, card.detector_errors or DetectorErrorsConfig())
    keypoints = {}
    for row in pyarrow.dataset.dataset(output / "labels" / "tracks").to_table().to_pylist():
        points = np.reshape(row["keypoints"], (row["frames"], -1, 2))
        keypoints[row["track_id"]] = points[:, joints_of(row["layout"], reference)]
    frames = len(reference["timestamps_s"])
    poses: dict[str, np.ndarray] = {}
    for lifted in read_lifted(str(output)):
        indices = np.searchsorted(reference["timestamps_s"] + 1e-3, lifted.timestamps_s)
        known = np.asarray(indices < frames)
        person = nearest_person(keypoints[lifted.track_id][known], indices[known], reference, view)
        if person is not None:
            limbs = to_detector @ lifted.positions[:, : len(body)]
            whole = poses.setdefault(person, np.full((frames, len(reference["joints"]), 3), np.nan))
            whole[indices[known]] = limbs[known]
    return poses


def joints_of(name: str, reference: Mapping[str, np.ndarray]) -> list[int]:
    """The places of the reference's joints in a layout."""
    joints = layout(name).joints
    return [joints.index(str(joint)) for joint in reference["joints"]]


def nearest_person(
    keypoints: np.ndarray, indices: np.ndarray, reference: Mapping[str, np.ndarray], view: int
) -> str | None:
    """The person whose projected reference some keypoints (frames, joints, 2) are nearest to."""
    angles, _ = cv2.Rodrigues(reference["rotations"][view])
    camera = (reference["translations"][view], reference["matrices"][view], reference["distortions"][view])
    misses = []
    for positions in reference["positions"]:
        points = positions[indices].reshape(-1, 3)
        pixels = np.full((len(points), 2), np.nan)
        known = np.isfinite(points).all(1)
        pixels[known] = cv2.projectPoints(points[known], angles, *camera)[0][:, 0]
        misses.append(np.nanmedian(np.linalg.norm(pixels.reshape(keypoints.shape) - keypoints, axis=-1)))
    best = int(np.argmin(misses))
    return str(best) if misses[best] < FARTHEST_PX else None


def from_mediapipe(landmarks: Mapping[str, np.ndarray], view: str, reference: Mapping[str, np.ndarray]) -> Poses:
    """World landmarks of MediaPipe: metres in the camera's axes already."""
    places = [LAYOUTS["blazepose33"].joints.index(str(joint)) for joint in reference["joints"]]
    people = [str(person) for person in range(len(reference["positions"])) if f"{view}.{person}" in landmarks]
    return {person: landmarks[f"{view}.{person}"][:, places] for person in people}


def score(prediction: np.ndarray, truth: np.ndarray, reference: Mapping[str, np.ndarray]) -> list[float]:
    """The five scores of one person in one view."""
    joints = [str(joint) for joint in reference["joints"]]
    hips = [joints.index("left_hip"), joints.index("right_hip")]
    prediction, truth = (positions - positions[:, hips].mean(1, keepdims=True) for positions in (prediction, truth))
    known = np.asarray(np.isfinite(truth).all(-1))
    counted = (known.sum(1) >= FEWEST_JOINTS) & np.isfinite(prediction).all((1, 2))
    pairs = [(prediction[f][known[f]], truth[f][known[f]]) for f in np.flatnonzero(counted)]
    aligned = [np.linalg.norm(similarity(p, t) - t, axis=-1).mean() for p, t in pairs]
    rooted = [np.linalg.norm(p - t, axis=-1).mean() for p, t in pairs]
    step_s = float(np.median(np.diff(reference["timestamps_s"])))
    acceleration = [np.diff(positions, 2, axis=0) / step_s**2 for positions in (prediction, truth)]
    lengths = [
        np.linalg.norm(prediction[:, joints.index(a)] - prediction[:, joints.index(b)], axis=-1) for a, b in BONES
    ]
    return [
        1000 * float(np.mean(aligned)),
        1000 * float(np.mean(rooted)),
        float(np.nanmean(np.linalg.norm(acceleration[0] - acceleration[1], axis=-1))),
        100 * float(np.mean([np.nanstd(length) / np.nanmean(length) for length in lengths])),
        100 * counted.sum() / max(1, (known.sum(1) >= FEWEST_JOINTS).sum()),
    ]


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points (joints, 3) after the rotation, scale and shift that bring them nearest to others (Umeyama 1991)."""
    centre, middle = points.mean(0), target.mean(0)
    p, t = points - centre, target - middle
    u, s, v = np.linalg.svd(t.T @ p)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    return (s * sign).sum() / (p**2).sum() * p @ (u * sign @ v).T + middle


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
