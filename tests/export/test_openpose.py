"""Joints in the picture as OpenPose writes them, read as JSON and by the importer of OpenPose's files."""

import io
import json
import zipfile

import numpy as np
import pytest
from tracks.lifted_samples import lifted, standing

from pipelines.export.openpose import openpose_zip
from pipelines.keypoint_files import openpose
from schemas.cameras import Intrinsics
from schemas.layouts import layout

BODY_25, H36M = layout("body25"), layout("h36m17")
CAMERA = Intrinsics(fx=1000, fy=1100, cx=500, cy=400)


def frames_of(content: bytes) -> dict[str, dict]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_every_frame_is_a_file_with_the_joints_where_the_camera_shows_them():
    track = lifted(5, start_frame=12, intrinsics=CAMERA)
    assert track.trajectory is not None
    frames = frames_of(openpose_zip(track, "walk"))
    assert list(frames) == [f"walk_{number:012d}_keypoints.json" for number in range(12, 17)]
    points = np.array([frame["people"][0]["pose_keypoints_2d"] for frame in frames.values()]).reshape(5, 25, 3)
    x, y, depth = np.moveaxis(track.positions + track.trajectory[:, None], 2, 0)
    for joint in ("left_wrist", "right_ankle"):
        own, at = H36M.index(joint), BODY_25.index(joint)
        expected = np.stack([1000 * x[:, own] / depth[:, own] + 500, 1100 * y[:, own] / depth[:, own] + 400], 1)
        assert points[:, at, :2] == pytest.approx(expected, abs=0.01)
        assert points[:, at, 2] == pytest.approx(0.9)
    for joint in ("left_eye", "right_heel"):
        assert (points[:, BODY_25.index(joint)] == 0).all(), "what lifters do not know is not found"


def test_the_middles_of_hips_and_shoulders_are_there_whatever_the_layout_has():
    frames = frames_of(openpose_zip(standing(), "walk"))
    person = np.reshape(next(iter(frames.values()))["people"][0]["pose_keypoints_2d"], (25, 3))
    for middle, part in (("mid_hip", "hip"), ("mid_shoulder", "shoulder")):
        sides = person[[BODY_25.index(f"{side}_{part}") for side in ("left", "right")], :2]
        assert person[BODY_25.index(middle), :2] == pytest.approx(sides.mean(0), abs=3)


def test_the_importer_reads_them_and_the_same_track_gives_the_same_bytes(tmp_path):
    content = openpose_zip(lifted(5, intrinsics=CAMERA), "walk")
    assert content == openpose_zip(lifted(5, intrinsics=CAMERA), "walk")
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    (video,) = openpose.read(str(tmp_path))
    assert (video.name, video.layout.name, sorted(video.frames)) == ("walk", "body25", [0, 1, 2, 3, 4])
    wrist = BODY_25.index("left_wrist")
    assert video.frames[2].keypoint_scores[0, wrist] == pytest.approx(0.9)


def test_joints_behind_the_camera_and_people_without_a_place_are_not_found():
    near = lifted(3, trajectory=np.zeros((3, 3), np.float32), intrinsics=CAMERA)
    person = next(iter(frames_of(openpose_zip(near, "walk")).values()))["people"][0]
    assert np.isfinite(person["pose_keypoints_2d"]).all()
    assert 0 in person["pose_keypoints_2d"][2::3]
    unknown = frames_of(openpose_zip(lifted(3, trajectory=None), "walk"))
    assert [frame["people"] for frame in unknown.values()] == [[], [], []]
