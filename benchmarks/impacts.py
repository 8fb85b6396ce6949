"""What smoothing leaves of impacts: the refinement of `lift` at several `smoothness`, and plain filters, on jumps.

python benchmarks/impacts.py TRACKS [SUBJECT…]

TRACKS are labeled tracks of motion capture (`raylift import_poses source=mocap17 source.layout=limbs12`), here at 30
frames/s. Their keypoints are replaced by the points that the detector of the lifter's training sees, without errors and
with usual ones: slow ones of 0.9 % of the stature (0.45 s) and white ones of 0.3 %. Of every track: MPJPE of the 12
limb joints about the middle of the hips, mm; the error of their accelerations, m/s²; and the impact, the largest
acceleration of the joints on average, as a share of the true one (1: kept).
"""

import sys
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from pipelines.lift.lifting import LoadedLifter, lift_tracks
from pipelines.lifters.checkpoint import LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import model_uris
from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows, survey
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import joint_indices, layout

LIMBS = layout("limbs12")
SMOOTHNESS = (0.0, 0.3, 1.0, 3.0, 10.0)
# Standard deviations of the filters of poses that are compared, frames.
WIDTHS = (1.0, 2.0)
LONGEST, SLOW_S = 300, 0.45
SLOW, WHITE = 0.009, 0.003


def main(address: str, subjects: set[str]) -> None:
    """Print the table."""
    infos = [info for info in survey(address) if not subjects or info.subject in subjects]
    read = list(read_rows(infos))
    model, card = load_lifter(model_uris.fetch("everyday").file)
    for errors in (0.0, 1.0):
        tracks = [as_detected(track, card, errors, seed) for seed, track in enumerate(read)]
        print(f"{len(tracks)} tracks, {sum(len(track) for track in tracks)} frames, errors of keypoints × {errors:g}")
        table(infos, tracks, model, card)


def table(infos: list[TrackInfo], tracks: list[KeypointTrack], model: LiftingModel, card: LifterCard) -> None:
    """Print a line for each way of smoothing."""
    print(f"{'':<24}{'MPJPE, mm':>10}{'acc, m/s²':>11}{'impact':>8}")
    plain = LoadedLifter(model, card, "everyday", "", flip=True)
    lines = {f"smoothness={value:g}": replace(plain, refine=True, smoothness=value) for value in SMOOTHNESS}
    for name, lifter in {"not refined": plain, **lines}.items():
        lifted = [poses for _, poses in lift_tracks(lifter, zip(infos, tracks, strict=True))]
        results = [
            (track, poses.positions) for track, poses in zip(tracks, lifted, strict=True) if not isinstance(poses, str)
        ]
        line(name, results, card.output_layout)
        if lifter is plain:
            for width in WIDTHS:
                filtered = [(track, gaussian_filter1d(poses, width, axis=0)) for track, poses in results]
                line(f"  filtered over {width:g} frames", filtered, card.output_layout)


def as_detected(track: KeypointTrack, card: LifterCard, errors: float, seed: int) -> KeypointTrack:
    """A track at 30 frames/s, of at most ten seconds, as a detector sees it, with this share of its usual errors."""
    step = max(1, round(track.fps / 30))
    kept = slice(0, LONGEST * step, step)
    names = ("timestamps_s", "keypoints", "scores", "positions", "boxes", "box_scores", "interpolated")
    parts = {name: getattr(track, name)[kept] for name in names}
    rng = np.random.default_rng(seed)
    body = layout(track.positions_layout or track.layout)
    to_detected = joint_map(body, layout(track.layout).joints, card.detector_errors or DetectorErrorsConfig())
    assert track.intrinsics is not None
    points = project(track.intrinsics, to_detected @ parts["positions"].astype(float))
    height_px = float(np.median(np.ptp(points[..., 1], axis=1))) * 1.2
    frames = len(points)
    slow = np.empty_like(points)
    keep = np.exp(-1 / (30 * SLOW_S))
    slow[0] = rng.normal(0, 1, points.shape[1:])
    for frame in range(1, frames):
        slow[frame] = keep * slow[frame - 1] + np.sqrt(1 - keep**2) * rng.normal(0, 1, points.shape[1:])
    noise = errors * (SLOW * slow + WHITE * rng.normal(0, 1, points.shape))
    parts["keypoints"] = (points + height_px * noise).astype(np.float32)
    return replace(track, **parts, fps=track.fps / step)


def line(name: str, results: list[tuple[KeypointTrack, np.ndarray]], output_layout: str) -> None:
    """Print a line of the table: means over tracks."""
    rows = [score(track, poses, output_layout) for track, poses in results]
    mpjpe, acceleration, impact = np.mean(rows, axis=0)
    print(f"{name:<24}{mpjpe:>10.1f}{acceleration:>11.2f}{impact:>8.2f}", flush=True)


def score(track: KeypointTrack, poses: Float[np.ndarray, "frames joints 3"], output_layout: str) -> list[float]:
    """MPJPE (mm), error of accelerations (m/s²), and the share of the largest acceleration."""
    joints = list(joint_indices(layout(output_layout), LIMBS))
    assert track.positions is not None
    true, result = (about_hips(each[:, joints]) for each in (track.positions, poses))
    error_mm = 1000 * np.linalg.norm(result - true, axis=-1).mean()
    rate = track.fps**2
    true, result = (rate * np.diff(each, 2, axis=0) for each in (true, result))
    strength = [np.linalg.norm(each, axis=-1).mean(1).max() for each in (true, result)]
    return [error_mm, float(np.linalg.norm(result - true, axis=-1).mean()), strength[1] / strength[0]]


def about_hips(joints: Float[np.ndarray, "frames 12 3"]) -> Float[np.ndarray, "frames 12 3"]:
    """Joints relative to the middle of the hips."""
    hips = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]
    return joints - joints[:, hips].mean(1, keepdims=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], set(sys.argv[2:]))
