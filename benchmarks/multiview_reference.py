"""A 3D reference from several synchronised views of one scene, to score what a lifter makes of a single view.

python benchmarks/multiview_reference.py FOLDER OUTPUT.npz

The folder holds one video per camera and the calibration `calibration.qca.txt` of Qualisys (XML). The stages:

1. MoveNet finds the people of each frame of each view; BlazePose then finds the joints of each of them a second time.
2. The people of one frame are matched between views: the combination whose joints meet best in space, then the next.
   From there each person is followed forwards and backwards by the distance to the last triangulated pose.
3. Each joint is triangulated robustly: of all pairs of rays the point that most other rays agree with, then the least
   squares of those. Both detectors' keypoints are rays. A joint with fewer than two agreeing views is missing.
4. A joint that jumps is missing, too: where two wrong rays agree, it is decimetres off for a frame or two.

The file: `positions` (people, frames, 12 limb joints, 3) in metres of the calibration's world, NaN where missing;
`residuals_px` (people, frames, joints), the median distance of the rays' keypoints; `joints`; the same of heels and
tips of the feet, which BlazePose alone sees: `feet`, `feet_residuals_px`, `feet_joints`; `timestamps_s`; `visible`
(people, views), whether a camera shows the person; and for each camera of `views` its `matrices`, `distortions`,
`rotations` and `translations` (world to camera).
"""

import itertools
import sys
from pathlib import Path

import av
import numpy as np
import torch

from pipelines.calibration.camera import Camera
from pipelines.calibration.read import read_cameras
from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig
from pipelines.detectors.movenet.detector import MoveNet, MoveNetConfig
from pipelines.pose.people import People
from schemas.layouts import LAYOUTS, JointLayout

COCO = LAYOUTS["coco17"]
LIMBS = [name for name in COCO.joints if not name.endswith(("nose", "eye", "ear"))]
# BlazePose alone sees feet. They are triangulated like the limbs, but take no part in telling people apart.
FEET = [name for name in LAYOUTS["blazepose33"].joints if name.endswith(("heel", "foot_index"))]
COUNTED = slice(0, len(LIMBS))
# Rays that miss a point by more do not agree with it: a tenth of a person who is 600 px tall is 60 px.
AGREEMENT_PX = 30.0
# A person of a frame is the one of the last frame if their joints, projected, lie within this distance (median).
FOLLOW_PX = 80.0
# A joint jumps if it is farther than this, m, from its median over as many frames before and after. At 60 frames/s a
# real one would have to turn round at 180 m/s², or move by 4 m/s beside a gap; the people of this recording balance.
JUMP_M, JUMP_FRAMES = 0.1, 3
# Nearer than this nobody is filmed from head to foot.
MIN_DEPTH_M = 1.0
# A combination of people of several views is one person if the views disagree less; each further view is worth some
# pixels.
MATCH_PX, VIEW_BONUS_PX = 12.0, 2.0


def detect(video: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The people of each frame: (people, 2 detectors, joints, 2) px; and the timestamps, s."""
    movenet = MoveNet(MoveNetConfig(input_side=640), torch.get_num_threads(), "cpu")
    blazepose = BlazePose(BlazePoseConfig(layout="blazepose33"), torch.get_num_threads(), "cpu")
    frames, times = [], []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="rgb24")[None]
            [people] = movenet(pixels)
            [second_look] = blazepose.estimate(pixels, [people.boxes])
            looks = ((people, movenet.layout), (second_look, blazepose.layout))
            frames.append(np.stack([keypoints_of(*look) for look in looks], 1))
            times.append(float(frame.time or 0.0))
    return frames, np.array(times)


def keypoints_of(people: People, layout: JointLayout) -> np.ndarray:
    """Limb joints and feet (people, joints, 2) px; NaN where a joint is hardly seen, or the detector lacks it."""
    keypoints = np.full((len(people), len(LIMBS) + len(FEET), 2), np.nan)
    for place, joint in enumerate([*LIMBS, *FEET]):
        if joint in layout.joints:
            visible = people.keypoint_scores[:, layout.index(joint)] > 0.2
            keypoints[visible, place] = people.keypoints[visible, layout.index(joint)]
    return keypoints


def triangulate(views: list[Camera], keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust triangulation of each joint.

    Args:
        views: The camera of each row.
        keypoints: (rows, joints, 2) px; rows of one camera may be several; NaN is missing.

    Returns:
        Positions (joints, 3) in metres and residuals (joints) in px, NaN where fewer than two cameras agree.
    """
    rays = np.stack([view.rays(points) for view, points in zip(views, keypoints, strict=True)])
    positions = np.full((keypoints.shape[1], 3), np.nan)
    residuals = np.full(keypoints.shape[1], np.nan)
    names = np.array([view.name for view in views])
    for joint in range(keypoints.shape[1]):
        known = [row for row in range(len(views)) if np.isfinite(keypoints[row, joint]).all()]
        best: tuple[float, np.ndarray, list[int]] | None = None
        for first, second in itertools.combinations(known, 2):
            if names[first] == names[second]:
                continue
            point = least_squares([views[first], views[second]], rays[[first, second], joint])
            miss = distances(views, keypoints[:, joint], point, known)
            cost = np.minimum(miss, AGREEMENT_PX).sum()
            if best is None or cost < best[0]:
                best = cost, point, [row for row, d in zip(known, miss, strict=True) if d < AGREEMENT_PX]
        if best is None or len(set(names[best[2]])) < 2:
            continue
        agreeing = best[2]
        positions[joint] = least_squares([views[row] for row in agreeing], rays[agreeing, joint])
        residuals[joint] = np.median(distances(views, keypoints[:, joint], positions[joint], agreeing))
    return positions, residuals


def least_squares(views: list[Camera], rays: np.ndarray) -> np.ndarray:
    """The point nearest to some rays (direct linear transform; Hartley and Zisserman, section 12.2)."""
    rows = []
    for view, (x, y) in zip(views, rays, strict=True):
        camera = np.column_stack([view.rotation, view.translation])
        rows += [x * camera[2] - camera[0], y * camera[2] - camera[1]]
    point = np.linalg.svd(np.array(rows))[2][-1]
    return point[:3] / point[3]


def distances(views: list[Camera], keypoints: np.ndarray, point: np.ndarray, rows: list[int]) -> np.ndarray:
    """How far the projections of a point are from some rows' keypoints, px; infinite behind a camera."""
    result = []
    for row in rows:
        ahead = (views[row].rotation @ point + views[row].translation)[2] > 0
        result.append(np.linalg.norm(views[row].project(point) - keypoints[row]) if ahead else np.inf)
    return np.array(result)


def match(views: list[Camera], people: list[np.ndarray], taken: list[set[int]]) -> np.ndarray | None:
    """The pose of the next person of a frame that is seen in at least three views; marks its detections as taken."""
    best: tuple[float, tuple[int, ...], np.ndarray] | None = None
    choices = [
        [i for i in range(len(view_people)) if i not in taken_people] + [-1]
        for view_people, taken_people in zip(people, taken, strict=True)
    ]
    for combination in itertools.product(*choices):
        chosen = [view for view, person in enumerate(combination) if person >= 0]
        if len(chosen) < 3:
            continue
        keypoints = np.stack([people[view][combination[view], 0, COUNTED] for view in chosen])
        positions, residuals = triangulate([views[view] for view in chosen], keypoints)
        if np.isfinite(residuals).sum() < 8:
            continue
        cost = disagreement(views, chosen, keypoints, positions)
        # Of two combinations that agree alike, the one of more views.
        if best is None or cost - VIEW_BONUS_PX * len(chosen) < best[0]:
            best = cost - VIEW_BONUS_PX * len(chosen), combination, positions
    if best is None or best[0] > MATCH_PX:
        return None
    for view, person in enumerate(best[1]):
        taken[view].add(person)
    return best[2]


def disagreement(views: list[Camera], chosen: list[int], keypoints: np.ndarray, positions: np.ndarray) -> float:
    """How far the keypoints of some views are from a pose that was triangulated from them, px: mean over all of them.

    What is farther away than agreement counts as that far, and so does a joint that was not triangulated.
    """
    misses = np.full(keypoints.shape[:2], AGREEMENT_PX)
    for row, view in enumerate(chosen):
        known = np.isfinite(positions).all(-1) & np.isfinite(keypoints[row]).all(-1)
        if known.any() and ((positions[known] @ views[view].rotation.T + views[view].translation)[:, 2] > 0).all():
            miss = np.linalg.norm(views[view].project(positions[known]) - keypoints[row, known], axis=-1)
            misses[row, known] = np.minimum(miss, AGREEMENT_PX)
    return float(misses.mean())


def follow(views: list[Camera], people: list[np.ndarray], last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pose of a person in a frame, by the detections that are nearest to the pose of the frame before."""
    rows: list[Camera] = []
    keypoints = []
    for view, view_people in zip(views, people, strict=True):
        expected = view.project(last[COUNTED])
        for detector in range(2):
            if not len(view_people):
                continue
            miss = np.nanmedian(np.linalg.norm(view_people[:, detector, COUNTED] - expected, axis=-1), axis=-1)
            if np.nanmin(miss, initial=np.inf) < FOLLOW_PX:
                rows.append(view)
                keypoints.append(view_people[int(np.nanargmin(miss)), detector])
    if len({row.name for row in rows}) < 2:
        return np.full_like(last, np.nan), np.full(len(last), np.nan)
    return triangulate(rows, np.stack(keypoints))


def jumps(positions: np.ndarray) -> np.ndarray:
    """Which joints (frames, joints) of a person, positions (frames, joints, 3) in metres, are off their own course."""
    missing = np.full((JUMP_FRAMES, *positions.shape[1:]), np.nan)
    padded = np.ma.masked_invalid(np.concatenate([missing, positions, missing]))
    around = np.ma.stack([padded[i : i + len(positions)] for i in range(2 * JUMP_FRAMES + 1)])
    course = np.ma.median(around, axis=0).filled(np.nan)
    return np.linalg.norm(positions - course, axis=-1) > JUMP_M


def main(folder: Path, output: Path) -> None:
    """Make the reference and print how well its rays agree."""
    views = read_cameras(str(folder / "calibration.qca.txt"))
    detected = [detect(folder / f"{view.name}.mp4") for view in views]
    frames = min(len(view_people) for view_people, _ in detected)
    by_frame = [[view_people[frame] for view_people, _ in detected] for frame in range(frames)]
    start = max(range(0, frames, 5), key=lambda frame: sum(map(len, by_frame[frame])))
    taken: list[set[int]] = [set() for _ in views]
    people, joints = [], len(LIMBS) + len(FEET)
    while (pose := match(views, by_frame[start], taken)) is not None:
        positions, residuals = np.full((frames, joints, 3), np.nan), np.full((frames, joints), np.nan)
        pose = np.concatenate([pose, np.full((len(FEET), 3), np.nan)])
        for order in (range(start, frames), range(start, -1, -1)):
            last = pose
            for frame in order:
                positions[frame], residuals[frame] = follow(views, by_frame[frame], last)
                last = np.where(np.isfinite(positions[frame]), positions[frame], last)
        jumping = jumps(positions)
        positions[jumping], residuals[jumping] = np.nan, np.nan
        people.append((positions, residuals))
        print(
            f"person {len(people)}: residual {np.nanmedian(residuals[:, COUNTED]):.1f} px (median), "
            f"{np.isfinite(residuals[:, COUNTED]).mean():.0%} of joints in {frames} frames; "
            f"feet {np.nanmedian(residuals[:, len(LIMBS) :]):.1f} px, "
            f"{np.isfinite(residuals[:, len(LIMBS) :]).mean():.0%}; {jumping[:, COUNTED].mean():.1%} jump"
        )
    np.savez_compressed(
        output,
        positions=np.stack([positions[:, COUNTED] for positions, _ in people]),
        residuals_px=np.stack([residuals[:, COUNTED] for _, residuals in people]),
        joints=np.array(LIMBS),
        feet=np.stack([positions[:, len(LIMBS) :] for positions, _ in people]),
        feet_residuals_px=np.stack([residuals[:, len(LIMBS) :] for _, residuals in people]),
        feet_joints=np.array(FEET),
        timestamps_s=detected[0][1][:frames],
        views=np.array([view.name for view in views]),
        rotations=np.stack([view.rotation for view in views]),
        translations=np.stack([view.translation for view in views]),
        matrices=np.stack([matrix(view) for view in views]),
        distortions=np.stack([distortion(view) for view in views]),
        visible=np.array([[is_visible(view, positions[:, COUNTED]) for view in views] for positions, _ in people]),
    )


def matrix(view: Camera) -> np.ndarray:
    """The camera matrix, px."""
    lens = view.intrinsics
    return np.array([[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1.0]])


def distortion(view: Camera) -> np.ndarray:
    """The coefficients in OpenCV's order."""
    return np.array([getattr(view.intrinsics, name) for name in ("k1", "k2", "p1", "p2", "k3")])


def is_visible(view: Camera, positions: np.ndarray) -> bool:
    """Whether a camera shows most of a person."""
    points = positions[np.isfinite(positions).all(-1)]
    if ((points @ view.rotation.T + view.translation)[:, 2] < MIN_DEPTH_M).any():
        return False
    pixels, size = view.project(points), (view.width or 0, view.height or 0)
    return bool(((pixels > 0) & (pixels < size)).all(1).mean() > 0.8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
