"""How good the angle of an ankle from a single view is, on synthetic people whose feet are known.

python benchmarks/feet_synthetic.py [PEOPLE]

Each of PEOPLE (36) moves for three seconds as one of `pipelines.synthetic.actions`, in front of a camera of known lens
all around them, 2.5 to 6 m away, −5 to 30° high. Their feet have Winter's measures (`pose.feet`). The keypoints
are the projected joints, moved to where BlazePose sees them (the joint map), heels and tips of the feet, with errors of
each: 0.4 % of the stature white, 1.0 % slow (correlation exp(−t / 0.4 s)) and 0.4 % constant. `everyday` lifts them as
`lift` does. The columns are those of `feet.py`; a line for each action and one for all.
"""

import sys
from dataclasses import replace

import numpy as np

from benchmarks.feet import SIDES, line, scores
from pipelines.lift.chosen_lifter import load_chosen
from pipelines.lift.lifting import lift_tracks
from pipelines.pose.joint_angles import joint_angles_of
from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.actions import ACTIONS
from pipelines.synthetic.motion import Motion, generate_motion
from pipelines.synthetic.skeleton import LAYOUT as BODY
from pipelines.synthetic.skeleton import sole_points
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_angles import lifted_angles_deg
from schemas.cameras import Intrinsics
from schemas.configs.lift import LiftConfig
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import layout

FPS, FRAMES, FOCAL_PX, WIDTH, HEIGHT = 30.0, 90, 1000.0, 1080, 1920
WHITE, SLOW, CONSTANT, SLOW_S = 0.004, 0.010, 0.004, 0.4
# From the ankle to the tip of the foot, of a stature of 1: forward, left, up.
TIP = np.array([0.114, 0, -0.039])
DETECTED, LIMBS = layout("coco21"), layout("limbs12").joints


def main(people: int) -> None:
    """Print a line for each action."""
    lifter = load_chosen(LiftConfig(video="none", output="none"))
    errors = lifter.card.detector_errors or DetectorErrorsConfig()
    actions = sorted(ACTIONS)
    pairs_of: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {action: [] for action in actions}
    for number in range(people):
        rng = np.random.default_rng(100 + number)
        motion = generate_motion(rng, FRAMES / FPS, FPS, actions[number % len(actions)])
        track, true = filmed(motion, rng, joint_map(BODY, list(LIMBS), errors))
        names = ("track_id", "subject", "action", "camera", "width", "fps", "layout", "positions_layout")
        described = {name: getattr(track, name) for name in (*names, "intrinsics_provenance")}
        [(_, lifted)] = lift_tracks(lifter, [(TrackInfo("made/a.parquet", 0, frames=FRAMES, **described), track)])
        assert not isinstance(lifted, str), lifted
        angles = [angle.name for angle in joint_angles_of(layout(lifted.layout))]
        values = lifted_angles_deg(lifted)
        for side, of_side in zip(SIDES, true, strict=True):
            pairs_of[motion.action].append((values[:, angles.index(f"{side}_ankle_dorsiflexion")], of_side))
    anybody = float(np.mean([true.mean() for pairs in pairs_of.values() for _, true in pairs]))
    print(f"{'action':<15}{'error':>7}{'own mean':>10}{'any mean':>10}{'bias':>7}{'spread':>13}{'r':>7}")
    rows = {action: [scores(*pair, anybody) for pair in pairs] for action, pairs in pairs_of.items() if pairs}
    for action, of_action in rows.items():
        print(f"{action:<15}" + line(np.median(of_action, axis=0).tolist()))
    print(f"{'median of all':<15}" + line(np.median([row for each in rows.values() for row in each], axis=0).tolist()))


def filmed(motion: Motion, rng: np.random.Generator, to_detector: np.ndarray) -> tuple[KeypointTrack, list[np.ndarray]]:
    """A person as a camera sees them, and the true angle of each ankle."""
    body = motion.positions.astype(np.float64)
    person = replace(motion.body, toe=TIP * motion.body.stature)
    soles = sole_points(person, body, motion.rotations.astype(np.float64))
    azimuth, height, distance = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-5, 30)), rng.uniform(2.5, 6)
    ahead = -np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(ahead, right), ahead])
    body, soles = ((points - body[:, 0].mean(0) + distance * ahead) @ axes.T for points in (body, soles))
    points = np.ones((FRAMES, len(DETECTED), 3))
    for place, limb in enumerate((to_detector @ body).swapaxes(0, 1)):
        points[:, DETECTED.index(LIMBS[place])] = limb
    points[:, 17:] = soles[:, [0, 2, 1, 3]]
    keypoints = points[..., :2] / points[..., 2:] * FOCAL_PX + [WIDTH / 2, HEIGHT / 2]
    keypoints += motion.body.stature * FOCAL_PX / distance * errors_of(rng, keypoints.shape)
    track = KeypointTrack(
        **{"track_id": "made", "video": "made.mp4", "subject": None, "action": None, "camera": None, "person": 0},
        **{"layout": DETECTED.name, "width": WIDTH, "height": HEIGHT, "fps": FPS, "start_frame": 0},
        timestamps_s=np.arange(FRAMES) / FPS,
        boxes=np.zeros((FRAMES, 4), np.float32),
        box_scores=np.ones(FRAMES, np.float32),
        keypoints=keypoints.astype(np.float32),
        scores=np.ones((FRAMES, len(DETECTED)), np.float32),
        interpolated=np.zeros(FRAMES, bool),
        intrinsics=Intrinsics(fx=FOCAL_PX, fy=FOCAL_PX, cx=WIDTH / 2, cy=HEIGHT / 2),
        intrinsics_provenance="calibrated",
    )
    return track, [true_angle(body, soles[:, 2 * number + 1], side) for number, side in enumerate(SIDES)]


def errors_of(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Errors of keypoints in statures."""
    kept, drawn = np.exp(-1 / (FPS * SLOW_S)), rng.normal(size=shape)
    slow = drawn.copy()
    for frame in range(1, len(slow)):
        slow[frame] = kept * slow[frame - 1] + np.sqrt(1 - kept**2) * drawn[frame]
    return WHITE * rng.normal(size=shape) + SLOW * slow + CONSTANT * rng.normal(size=(1, *shape[1:]))


def true_angle(body: np.ndarray, tip: np.ndarray, side: str) -> np.ndarray:
    """Dorsiflexion, degrees."""
    knee, ankle = (body[:, BODY.index(f"{side}_{part}")] for part in ("knee", "ankle"))
    one, other = knee - ankle, tip - ankle
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return 90 - np.degrees(np.arccos(cosine))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 36)
