"""Labeled tracks are in each camera's own space and frames, and say how good each label is."""

from dataclasses import replace

import numpy as np
import pytest
from triangulation.scenes import FPS, LIMBS, rig, view_of, walk_of_limbs

from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.cameras import project
from pipelines.triangulation.labels import LABELS, labeled_tracks
from pipelines.triangulation.scene import reconstruct
from pipelines.triangulation.views import View
from schemas.configs.made_views import DetectorErrorsConfig

WALK = walk_of_limbs(60)


def test_each_camera_has_a_track_whose_labels_project_to_its_keypoints():
    labeled = list(labeled_tracks(reconstruct([view_of(one, [WALK], noise_px=1.0) for one in rig(3)]), "hall"))
    assert [(one.track.camera, len(one.track)) for one in labeled] == [(f"cam0{n}", 60) for n in (1, 2, 3)]
    for one in labeled:
        track = one.track
        assert track.positions is not None
        assert track.intrinsics is not None
        assert track.up is not None
        limbs = project(track.intrinsics, track.positions[:, 2:])
        assert np.linalg.norm(limbs - track.keypoints, axis=-1).mean() < 2.5
        assert track.positions[:, LABELS.index("mid_hip")] == pytest.approx(
            track.positions[:, [LABELS.index("left_hip"), LABELS.index("right_hip")]].mean(1), abs=1e-5
        )
        trunk = (track.positions[:, LABELS.index("mid_shoulder")] - track.positions[:, 0]).mean(0)
        assert track.up @ trunk / np.linalg.norm(trunk) > 0.99
        assert one.residuals_px.shape == one.views.shape == (60, len(LABELS))
        assert np.nanmedian(one.residuals_px) < 2
        assert one.track.subject == "hall 1"


def test_a_camera_of_another_frame_rate_has_labels_at_its_own_frames():
    cameras = rig(3)
    views = [view_of(one, [WALK], fps=20.0 if number == 2 else FPS) for number, one in enumerate(cameras)]
    slow = next(one.track for one in labeled_tracks(reconstruct(views), "hall") if one.track.camera == "cam03")
    assert slow.timestamps_s == pytest.approx(np.arange(len(slow)) / 20.0)
    assert len(slow) >= 39
    assert slow.positions is not None
    truth = cameras[2].to_camera(WALK[np.rint(slow.timestamps_s * FPS).astype(int)])
    even = slow.timestamps_s * FPS % 1 < 1e-6
    assert np.linalg.norm(slow.positions[even, 2:] - truth[even], axis=-1).mean() < 0.02


def test_a_view_whose_left_and_right_are_exchanged_is_put_right():
    views = [view_of(one, [WALK], noise_px=1.0) for one in rig(4)]
    right = views[1].tracks[0]
    twisted = replace(right, keypoints=right.keypoints[:, list(LIMBS.mirror)])
    scene = reconstruct([views[0], View(views[1].camera, [twisted]), *views[2:]])
    assert (scene.people[0].raw.views == 4).mean() > 0.9, "all four views agree in the end"
    labeled = [one.track for one in labeled_tracks(scene, "hall")]
    assert np.array_equal(labeled[1].keypoints, right.keypoints)


def test_joints_are_moved_from_where_the_detector_sees_them():
    errors = DetectorErrorsConfig.model_validate({"hip": {"outwards": 0.1}, "ankle": {"along": 0.05}})
    clicked = joint_map(LIMBS, LIMBS.joints, errors) @ WALK
    scene = reconstruct([view_of(one, [clicked], noise_px=0.5) for one in rig(3)])
    moved, as_seen = (list(labeled_tracks(scene, "hall", of)) for of in (errors, None))
    for one, other, camera in zip(moved, as_seen, rig(3), strict=True):
        positions = [np.asarray(labeled.track.positions)[:, 2:] for labeled in (one, other)]
        away = [np.linalg.norm(limbs - camera.to_camera(WALK), axis=-1) for limbs in positions]
        hips, ankles = ([LIMBS.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "ankle"))
        assert away[0].mean() < 0.006
        assert away[1][:, hips].mean() > 0.02
        assert away[1][:, ankles].mean() > 0.015
        assert np.median(one.misses_px) == np.median(other.misses_px) < 2
