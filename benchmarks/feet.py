"""How good the angle of an ankle from a single view is, on a real recording by several calibrated cameras.

python benchmarks/multiview_reference.py FOLDER reference.npz
python benchmarks/multiview.py FOLDER reference.npz OUTPUT model=everyday
python benchmarks/feet.py reference.npz OUTPUT

The reference is the angle between knee, ankle and tip of the foot, each triangulated from the keypoints of all views
(BlazePose sees the feet, both detectors knee and ankle). The tip's residual in px is printed, and what it makes in
degrees: across the foot, by the reference's own length of the foot. A lifted track is compared where its foot was seen.

- error: median of |angle - reference|, degrees;
- own mean: the error of a constant that knows best, the mean of the reference of this person, side and track;
- any mean: the error of a constant that knows nobody, the mean over all people and sides;
- bias: the mean of angle - reference, degrees;
- spread: the standard deviation of the reference and of the angle, degrees;
- r: their correlation over time.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.dataset

from benchmarks.multiview import joints_of, nearest_person
from pipelines.pose.joint_angles import joint_angles_of
from pipelines.tracks.lifted_angles import lifted_angles_deg
from pipelines.tracks.lifted_reader import read_lifted
from schemas.layouts import layout

SIDES = ("left", "right")
Reference = Mapping[str, np.ndarray]


def main(reference_file: Path, output: Path) -> None:
    """Print the reference and a line for each view, person and side."""
    reference = np.load(reference_file)
    truth = {
        (person, side): reference_angle(reference, person, side)
        for person in range(len(reference["positions"]))
        for side in SIDES
    }
    anybody = float(np.mean([np.nanmean(angles) for angles in truth.values() if np.isfinite(angles).any()]))
    for (person, side), angles in truth.items():
        print_reference(reference, person, side, angles)
    print(f"\n{'view':<7}{'person':<8}{'side':<7}{'frames':>7}{'error':>7}{'own mean':>10}{'any mean':>10}", end="")
    print(f"{'bias':>7}{'spread':>13}{'r':>7}")
    rows = []
    for number, view in enumerate(map(str, reference["views"])):
        for person, side, angles in lifted_angles(output / view, reference, number):
            true = truth[person, side]
            both = np.isfinite(true) & np.isfinite(angles)
            if not reference["visible"][person, number] or both.sum() < 10:
                continue
            row = scores(angles[both], true[both], anybody)
            rows.append(row)
            print(f"{view:<7}{person:<8}{side:<7}{both.sum():>7}" + line(row))
    print(f"{'median of all':<29}" + line(np.median(rows, axis=0).tolist()))


def reference_points(reference: Reference, person: int, side: str) -> list[np.ndarray]:
    """Knee, ankle and tip of the foot (frames, 3) in the world."""
    joints, feet = ([str(name) for name in reference[key]] for key in ("joints", "feet_joints"))
    limbs = reference["positions"][person]
    return [
        *(limbs[:, joints.index(f"{side}_{part}")] for part in ("knee", "ankle")),
        reference["feet"][person][:, feet.index(f"{side}_foot_index")],
    ]


def reference_angle(reference: Reference, person: int, side: str) -> np.ndarray:
    """Dorsiflexion in each frame, degrees; NaN where a joint is missing."""
    knee, ankle, tip = reference_points(reference, person, side)
    one, other = knee - ankle, tip - ankle
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return 90 - np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def print_reference(reference: Reference, person: int, side: str, angles: np.ndarray) -> None:
    """How much there is of a reference, how well its rays agree, and how it moves from frame to frame."""
    knee, ankle, tip = reference_points(reference, person, side)
    feet = [str(name) for name in reference["feet_joints"]]
    residual_px = np.nanmedian(reference["feet_residuals_px"][person][:, feet.index(f"{side}_foot_index")])
    foot_m, shank_m = (np.linalg.norm(ends, axis=1) for ends in (tip - ankle, ankle - knee))
    jitter_deg = np.nanmedian(np.abs(np.diff(angles, 2))) / np.sqrt(6) / 0.6745
    print(
        f"reference of person {person}, {side}: {np.isfinite(angles).mean():.0%} of frames, tip {residual_px:.1f} px, "
        f"foot {np.nanmedian(foot_m):.3f} m (spread {np.nanstd(foot_m):.3f}), shank {np.nanmedian(shank_m):.3f} m, "
        f"ratio {np.nanmedian(foot_m / shank_m):.2f}, angle {np.nanmean(angles):.1f}° ± {np.nanstd(angles):.1f}, "
        f"noise of a frame {jitter_deg:.1f}°"
    )


def lifted_angles(output: Path, reference: Reference, view: int) -> list[tuple[int, str, np.ndarray]]:
    """Person, side and dorsiflexion in each frame of the reference, of every lifted track of a view."""
    keypoints = {}
    for row in pyarrow.dataset.dataset(output / "labels" / "tracks").to_table().to_pylist():
        points = np.reshape(row["keypoints"], (row["frames"], -1, 2))
        keypoints[row["track_id"]] = points[:, joints_of(row["layout"], reference)]
    frames, results = len(reference["timestamps_s"]), []
    for lifted in read_lifted(str(output)):
        indices = np.searchsorted(reference["timestamps_s"] + 1e-3, lifted.timestamps_s)
        known = np.asarray(indices < frames)
        person = nearest_person(keypoints[lifted.track_id][known], indices[known], reference, view)
        names = [angle.name for angle in joint_angles_of(layout(lifted.layout))]
        if person is None or "left_ankle_dorsiflexion" not in names:
            continue
        values = lifted_angles_deg(lifted)
        for side in SIDES:
            angles = np.full(frames, np.nan)
            angles[indices[known]] = values[known, names.index(f"{side}_ankle_dorsiflexion")]
            results.append((int(person), side, angles))
    return results


def scores(angles: np.ndarray, true: np.ndarray, anybody: float) -> list[float]:
    """The columns of a line."""
    constants = (true.mean(), anybody)
    return [
        float(np.median(np.abs(angles - true))),
        *(float(np.median(np.abs(constant - true))) for constant in constants),
        float((angles - true).mean()),
        float(true.std()),
        float(angles.std()),
        float(np.corrcoef(angles, true)[0, 1]),
    ]


def line(row: list[float]) -> str:
    """The numbers of a row."""
    error, own, anybody, bias, spread, spread_of_angle, r = row
    return f"{error:>7.1f}{own:>10.1f}{anybody:>10.1f}{bias:>7.1f}{spread:>8.1f}{spread_of_angle:>5.1f}{r:>7.2f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
