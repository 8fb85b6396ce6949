"""Exported BVH, read by an independent parser, has the joints where the track has them."""

import numpy as np
import pytest
from bvh_reader import angles_deg, forward_kinematics, joints, parse
from scipy.spatial.transform import Rotation
from tracks.lifted_samples import lifted

from pipelines.export.bvh import bvh_text
from pipelines.export.skeleton import skeleton_of
from pipelines.io.npz import read_npz
from pipelines.synthetic.motion import generate_motion
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import LAYOUTS, layout

H36M = layout("h36m17")
# From a world with z up to a camera that looks along +y: x right, y down, z forward.
TO_CAMERA = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def track_of(world, **changes) -> LiftedTrack:
    """A track that is lifted exactly, 5 m in front of the camera."""
    camera = world @ TO_CAMERA.T + [0, 0, 5]
    positions = (camera - camera[:, :1]).astype(np.float32)
    values = {"positions": positions, "trajectory": camera[:, 0].astype(np.float32)} | changes
    return lifted(len(world), **values)


def expected(track: LiftedTrack) -> dict[str, np.ndarray]:
    """Expected positions of the joints: camera space with y up, so that the camera looks along -z."""
    assert track.trajectory is not None
    space = (track.positions + track.trajectory[:, None]) * [1, -1, -1]
    return {name: space[:, index] for index, name in enumerate(layout(track.layout).joints)}


def errors_mm(track, folder) -> np.ndarray:
    positions = forward_kinematics(parse(bvh_text(track), folder))
    return 1e3 * np.array([np.linalg.norm(positions[name] - at, axis=-1) for name, at in expected(track).items()])


@pytest.fixture(scope="module")
def walk():
    return generate_motion(3, 4.0, 30.0, "walk").positions


@pytest.mark.parametrize("action", ["walk", "sit", "turn", "jump"])
def test_generated_motion_survives_the_round_trip(action, tmp_path):
    track = track_of(generate_motion(11, 4.0, 30.0, action).positions)
    assert errors_mm(track, tmp_path).max() < 0.1
    assert abs(np.diff(angles_deg(bvh_text(track)), axis=0)).max() < 60


def test_recorded_motion_survives_the_round_trip(shared_data, tmp_path):
    subjects = read_npz(str(shared_data / "mocap" / "cmu_mocap_17j.npz"), "positions_3d")["positions_3d"]
    for subject, action in (("S02", "02_05"), ("S135", "135_05_martial"), ("U_jump", "eval_test_jumping_1")):
        track = track_of(subjects[subject][action])
        assert errors_mm(track, tmp_path).max() < 10, "millimetres: what the exports promise"
        assert errors_mm(track, tmp_path).max() < 0.1, "bones of constant length lose nothing but rounding"
        assert abs(np.diff(angles_deg(bvh_text(track)), axis=0)).max() < 60


def test_errors_of_noisy_bones_are_at_most_their_variation_in_length(walk, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.02, walk.shape) * (np.arange(17) > 0)[:, None]
    track = track_of(walk + noise)
    lengths = {
        child: np.linalg.norm(track.positions[:, child] - track.positions[:, parent], axis=-1)
        for child, parent in H36M.bones
    }
    off = np.zeros((17, len(track)))
    for child, parent in H36M.bones:
        off[child] = off[parent] + 1e3 * abs(lengths[child] - np.median(lengths[child]))
    errors = errors_mm(track, tmp_path)
    assert (errors <= off + 0.1).all()
    assert errors.mean() > 5, "the noise is there"


def test_offsets_are_median_lengths_in_a_t_pose(walk, tmp_path):
    track = track_of(walk + np.random.default_rng(1).normal(0, 0.01, walk.shape))
    exported = joints(parse(bvh_text(track), tmp_path))
    for child, parent in H36M.bones:
        length = np.median(np.linalg.norm(track.positions[:, child] - track.positions[:, parent], axis=-1))
        assert np.linalg.norm(tuple(exported[H36M.joints[child]].Offset)) == pytest.approx(length, abs=2e-6)
    assert exported["left_wrist"].Offset.x > 0, "the left hand on +x"
    assert exported["right_wrist"].Offset.x < 0
    assert exported["left_ankle"].Offset.y < 0
    assert tuple(exported["pelvis"].Offset) == (0, 0, 0), "or programs would disagree about what its channels mean"
    assert exported["thorax_to_left_shoulder"].Children == [exported["left_shoulder"]]


def test_a_t_pose_that_faces_the_camera_is_the_rest_pose(tmp_path):
    skeleton = skeleton_of(H36M)
    pose = np.zeros((17, 3))
    for child, parent in H36M.bones:
        pose[child] = pose[parent] + 0.3 * skeleton.rest[child]
    track = lifted(1, positions=(pose * [1, -1, -1])[None].astype(np.float32))
    assert abs(angles_deg(bvh_text(track))).max() < 1e-3


def test_without_a_trajectory_the_root_stays_and_the_lowest_joint_is_on_the_ground(walk, tmp_path):
    positions = forward_kinematics(parse(bvh_text(track_of(walk, trajectory=None)), tmp_path))
    assert np.allclose(positions["pelvis"][:, [0, 2]], 0)
    assert np.allclose(np.min([at[:, 1] for at in positions.values()], axis=0), 0, atol=1e-3)
    assert positions["head"][:, 1].mean() > 1.2


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_a_tree_rooted_at_the_pelvis(name, tmp_path):
    names, frames = layout(name), 25
    skeleton, rng = skeleton_of(names), np.random.default_rng(2)
    place, pending = np.zeros((frames, len(skeleton.joints), 3)), [skeleton.root]
    while pending:
        joint = pending.pop()
        turns = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.05, (frames, 3)), axis=0)).as_matrix()
        for child in skeleton.children(joint):
            place[:, child] = place[:, joint] + turns @ (0.2 * skeleton.rest[child])
            pending.append(child)
    camera = place[:, : len(names)] * [1, -1, -1]
    track = lifted(frames, layout=name, positions=camera.astype(np.float32))
    motion = parse(bvh_text(track), tmp_path)
    exported = forward_kinematics(motion)
    assert motion.Root.Name == "pelvis"
    for index, joint in enumerate(skeleton.joints):
        assert np.linalg.norm(exported[joint] - [0.1, -0.2, -4] - place[:, index], axis=-1).max() < 1e-4


def test_uneven_frames_are_resampled_at_their_mean_rate(walk, tmp_path):
    even = np.arange(len(walk)) / 30.0
    # In the second half every second frame is missing.
    kept = np.r_[0:60, 60 : len(walk) : 2]
    track = track_of(walk[kept], timestamps_s=even[kept], fps=30.0)
    motion = parse(bvh_text(track), tmp_path)
    assert motion.FrameCount == len(kept)
    assert motion.FrameTime == pytest.approx((even[kept][-1] - even[0]) / (len(kept) - 1), abs=1e-7)
    exported, truth = forward_kinematics(motion)["pelvis"], expected(track_of(walk))["pelvis"]
    times = motion.FrameTime * np.arange(len(kept))
    interpolated = np.stack([np.interp(times, even, truth[:, axis]) for axis in range(3)], axis=-1)
    assert np.linalg.norm(exported - interpolated, axis=-1).max() < 0.01


def test_timestamps_rounded_to_milliseconds_count_as_even(walk, tmp_path):
    rounded = np.round(np.arange(len(walk)) / 30.0, 3)
    assert errors_mm(track_of(walk, timestamps_s=rounded), tmp_path).max() < 0.1


@pytest.mark.parametrize(("fps", "frame_time_s"), [(25.0, 0.04), (float("nan"), 1 / 30)])
def test_a_single_frame_can_be_exported(walk, fps, frame_time_s, tmp_path):
    track = track_of(walk[:1], fps=fps)
    motion = parse(bvh_text(track), tmp_path)
    assert motion.FrameCount == 1
    assert motion.FrameTime == pytest.approx(frame_time_s, abs=1e-7)
    assert errors_mm(track, tmp_path).max() < 0.1


def test_coinciding_joints_can_be_exported(tmp_path):
    motion = parse(bvh_text(lifted(5, positions=np.zeros((5, 17, 3), np.float32))), tmp_path)
    assert all(np.isfinite(at).all() for at in forward_kinematics(motion).values())
