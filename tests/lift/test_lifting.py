"""Tracks through a lifter: at their own times, measured against their own keypoints; hostile ones cost themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from evaluate.lifter_samples import make_lifter
from register.registry_samples import coco_lifter
from train.training_samples import INTRINSICS, person

from pipelines.datasets.body_measures import BONES_PER_HEIGHT, Body
from pipelines.export.bvh import bvh_text
from pipelines.export.npz import npz_bytes
from pipelines.lift.lifting import LoadedLifter, lift_tracks
from pipelines.lift.report import notes
from pipelines.lifters.inference import lift
from pipelines.pose.cameras import camera_vector, project, to_screen
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.tracks.selection import take
from schemas.layouts import LAYOUTS


def lifter(flip=True, **changes):
    return LoadedLifter(*make_lifter(**changes), name="models:/lifter/3", sha256="0" * 64, flip=flip)


def info(track):
    fields = ("track_id", "subject", "action", "camera", "width", "fps", "layout", "positions_layout")
    values: dict[str, Any] = {name: getattr(track, name) for name in (*fields, "intrinsics_provenance")}
    return TrackInfo("tracks/bucket-0.parquet", 0, frames=len(track), **values)


def lifted(*tracks, by=None) -> list[Any]:
    return [outcome for _, outcome in lift_tracks(by or lifter(), [(info(track), track) for track in tracks])]


def test_a_track_is_lifted_as_the_model_lifts_it():
    track = person("a", 40, start_frame=7)
    (result,) = lifted(track)
    screen = to_screen(torch.tensor(track.keypoints), track.width, track.height)
    ((pose, trajectory),) = lift(lifter().model, [screen], flip=True)
    assert (result.positions == pose.numpy()).all()
    assert trajectory is not None
    assert (result.trajectory == trajectory[:, 0].numpy()).all()
    assert (result.timestamps_s == track.timestamps_s).all()
    assert (result.track_id, result.source) == ("a", "bucket-0.parquet")
    assert (result.model, result.layout) == ("models:/lifter/3", "h36m17")
    assert (result.start_frame, result.width, result.intrinsics) == (7, 1000, INTRINSICS)


def test_quality_is_measured_in_pixels_of_the_video():
    track = person("a", 40)
    (result,) = lifted(track)
    assert result.reprojection == "perspective"
    points = torch.tensor(result.positions + result.trajectory[:, None])
    projected = project(points, camera_vector(INTRINSICS, 1000, 1000)).numpy() * 500 + 500
    expected = np.linalg.norm(projected - track.keypoints, axis=-1).mean(1)
    assert result.reprojection_px == pytest.approx(expected, rel=1e-4)
    assert result.keypoint_score == pytest.approx(track.scores.mean(1))
    assert result.bone_length_deviation.shape == (40,)


def test_without_intrinsics_or_trajectory_it_is_measured_up_to_scale():
    uncalibrated = person("a", 40, intrinsics=None, intrinsics_provenance="none")
    (result,) = lifted(uncalibrated)
    assert result.reprojection == "orthographic"
    assert result.trajectory is not None
    (rootless,) = lifted(person("a", 40), by=lifter(trajectory=False))
    assert (rootless.reprojection, rootless.trajectory) == ("orthographic", None)
    assert rootless.reprojection_px == pytest.approx(result.reprojection_px, rel=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("fps", [25.0, 50.0, 240.0])
def test_a_track_of_a_frame_or_two_is_lifted_and_exported(frames, fps):
    (result,) = lifted(person("a", frames), by=lifter(fps=fps))
    assert result.positions.shape == (frames, 17, 3)
    assert np.isfinite(result.positions).all()
    assert result.reprojection_px.shape == result.bone_length_deviation.shape == (frames,)
    assert f"Frames: {frames}\n" in bvh_text(result)
    assert len(npz_bytes(result)) > 1000


def chosen(track, kept):
    """The track with some of its frames dropped."""
    names = ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated", "positions")
    return replace(track, **{name: getattr(track, name)[kept] for name in names})


@pytest.mark.parametrize("kept", [np.arange(0, 201, 2), np.sort(np.random.default_rng(0).permutation(201)[:120])])
def test_another_frame_rate_gives_nearly_the_same_at_the_tracks_own_times(kept):
    """25 frames/s, and frames dropped at random, through a lifter of 50 frames/s."""
    (reference,) = lifted(person("a", 201))
    track = chosen(person("a", 201), kept)
    assert np.diff(track.timestamps_s).max() > 0.03
    (result,) = lifted(replace(track, fps=25.0))
    assert (result.timestamps_s == track.timestamps_s).all()
    for name in ("positions", "trajectory"):
        direct = getattr(reference, name)[kept]
        moved = direct.std(axis=0).max()
        away = np.linalg.norm(getattr(result, name) - direct, axis=-1)
        assert away.mean() < 0.005 * moved
        assert away.max() < 0.05 * moved


def test_a_faster_track_than_the_lifter_gets_a_pose_for_each_frame():
    (result,) = lifted(person("a", 41), by=lifter(fps=25.0))
    (half,) = lifted(take(person("a", 41), slice(0, None, 2)), by=lifter(fps=25.0))
    assert result.positions[::2] == pytest.approx(half.positions, abs=1e-5)
    assert result.positions[1::2] == pytest.approx((half.positions[:-1] + half.positions[1:]) / 2, abs=1e-5)


def test_tracks_are_lifted_together_as_each_would_be_alone():
    tracks = [person(str(number), 1 + 37 * number) for number in range(12)]
    together = {track.track_id: track for track in lifted(*tracks)}
    for track in tracks:
        (alone,) = lifted(track)
        assert together[track.track_id].positions == pytest.approx(alone.positions, abs=1e-5)


SIXTEEN = {"keypoints": np.zeros((60, 16, 2), np.float32), "scores": np.zeros((60, 16), np.float32)}


def nan_at(track, name, frame):
    values = getattr(track, name).copy()
    values[frame] = np.nan
    return replace(track, **{name: values})


HOSTILE = [
    (nan_at(person("a"), "keypoints", 3), "keypoints of frame 3 are not finite"),
    (nan_at(person("a"), "scores", 4), "scores of frame 4 are not finite"),
    (nan_at(person("a"), "timestamps_s", 4), "timestamps are not finite"),
    (person("a", fps=np.nan, timestamps_s=np.zeros(60)), "its frame rate is unknown"),
    (person("a", timestamps_s=np.linspace(0, 1e15, 60)), "s apart on average"),
    (person("a", width=0), "its image has 0 × 1000 pixels"),
    (person("a", layout="coco17"), "keypoints are coco17, which lacks pelvis of h36m17"),
    (person("a", **SIXTEEN), "has 16 keypoints a frame, h36m17 has 17"),
    (replace(person("a"), keypoints=np.full((60, 17, 2), 3e38, np.float32)), "lie outside pictures of 1000 × 1000 px"),
    (replace(person("a"), keypoints=np.full((60, 17, 2), 0.5, np.float32)), "are shares of the picture's size"),
    ("it cannot be read", "it cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("track", "why"), HOSTILE, ids=[why for _, why in HOSTILE])
def test_a_track_that_cannot_be_lifted_says_why_and_harms_no_other(track, why):
    known = info(person("a"))
    good = person("b", 30)
    result: dict[TrackInfo, Any] = dict(lift_tracks(lifter(), [(known, track), (info(good), good)]))
    assert why in result[known]
    assert (result[info(good)].positions == lifted(good)[0].positions).all()


def test_timestamps_that_do_not_increase_are_replaced_by_even_ones():
    (result,) = lifted(person("a", 20, timestamps_s=np.zeros(20)))
    assert result.timestamps_s == pytest.approx(np.arange(20) / 50)


def centred(refine: bool) -> LoadedLifter:
    model, card = coco_lifter(lifter_input="person_centred", trajectory=False, scores=True)
    return LoadedLifter(model, card, name="models:/lifter/3", sha256="0" * 64, flip=True, refine=refine)


@pytest.mark.parametrize("refine", [False, True])
def test_a_person_without_a_camera_is_placed_and_every_assumption_is_said(refine):
    track = person("a", 30, layout="coco17", intrinsics=None, intrinsics_provenance="none", positions=None)
    (result,) = lifted(track, by=centred(refine))
    assert (result.intrinsics_provenance, result.trajectory_provenance) == ("assumed_fov", "fitted")
    assert result.intrinsics.fx == pytest.approx(1000 / 2 / np.tan(np.radians(30)))
    assert (result.trajectory[:, 2] > 0).all()
    assert result.reprojection == "perspective"
    if refine:
        assert result.bone_length_deviation.max() < 1e-3
    assert (LiftedTrack.from_row(result.to_row()).trajectory == result.trajectory).all()


def test_refining_brings_joints_to_their_keypoints():
    track = person("a", 30, layout="coco17")
    plain, refined = (lifted(track, by=centred(refine))[0] for refine in (False, True))
    assert np.median(refined.reprojection_px) < 0.9 * np.median(plain.reprojection_px)


def test_smoothness_is_a_choice_that_poses_depend_on():
    track = person("a", 30, layout="coco17")
    rough, usual, smooth = (lifted(track, by=replace(centred(True), smoothness=value))[0] for value in (0.0, 1.0, 30.0))
    accelerations = [np.abs(np.diff(each.positions, 2, axis=0)).mean() for each in (rough, usual, smooth)]
    assert accelerations[0] > accelerations[1] > accelerations[2]


def test_people_are_as_tall_as_they_are_known_to_be_and_nearer_or_farther():
    track = person("a", 30, layout="coco17")
    usual, tall = (lifted(track, by=replace(centred(True), stature_m=stature_m))[0] for stature_m in (None, 2.0))
    height_m = Body(tall.positions, LAYOUTS[tall.layout]).stature() / BONES_PER_HEIGHT
    assert height_m == pytest.approx(2.0, rel=1e-3)
    ratio = tall.trajectory[:, 2] / usual.trajectory[:, 2]
    assert ratio == pytest.approx(np.full(30, ratio[0]), rel=1e-3)
    assert tall.positions == pytest.approx(usual.positions * ratio[0], rel=1e-3, abs=1e-5)
    assert tall.reprojection_px == pytest.approx(usual.reprojection_px, rel=0.05)


def test_another_detectors_joints_are_read_by_name():
    coco = person("a", 30, layout="coco17")
    names, blaze = LAYOUTS["coco17"].joints, LAYOUTS["blazepose33"]
    keypoints = np.zeros((30, len(blaze), 2), np.float32)
    scores = np.zeros((30, len(blaze)), np.float32)
    for place, name in enumerate(names):
        keypoints[:, blaze.index(name)], scores[:, blaze.index(name)] = coco.keypoints[:, place], coco.scores[:, place]
    other = replace(coco, layout="blazepose33", keypoints=keypoints, scores=scores)
    first, second = (lifted(track, by=centred(True))[0] for track in (coco, other))
    assert second.layout == "h36m19", "BlazePose has feet"
    np.testing.assert_allclose(first.positions, second.positions[:, :17], atol=1e-5)
    np.testing.assert_allclose(first.reprojection_px, second.reprojection_px, atol=1e-2)


def test_keypoints_with_feet_give_the_same_pose_and_its_feet():
    track = person("a", 30, layout="coco17", positions=None, positions_layout=None)
    ankles = [LAYOUTS["coco17"].index("left_ankle"), LAYOUTS["coco17"].index("right_ankle")]
    scores = np.concatenate([track.scores, np.ones((30, 4), np.float32)], axis=1)
    scores[7, 19] = 0
    keypoints = np.concatenate([track.keypoints, track.keypoints[:, ankles * 2] + np.float32(8)], axis=1)
    keypoints[7, 19] = np.nan
    keypoints[11, 20, 1] = track.height + 1  # a guess below the picture's edge, however sure
    with_keypoints = replace(
        track,
        layout="coco21",
        keypoints=keypoints,
        scores=scores,
    )
    plain, with_feet = lifted(track, with_keypoints, by=centred(refine=True))
    assert (plain.layout, with_feet.layout) == ("h36m17", "h36m19")
    warned = [
        any("ankles are rough" in note for note in notes(centred(True), [info(one)], [30]))
        for one in (track, with_keypoints)
    ]
    assert warned == [False, True]
    for name in ("trajectory", "reprojection_px", "bone_length_deviation", "keypoint_score"):
        assert (getattr(with_feet, name) == getattr(plain, name)).all(), name
    assert (with_feet.positions[:, :17] == plain.positions).all()
    assert (with_feet.joint_scores[:, :17] == plain.joint_scores).all()
    assert with_feet.joint_scores[6:9, 17].tolist() == [1, 0, 1]
    assert with_feet.joint_scores[10:13, 18].tolist() == [1, 0, 1]
    feet = with_feet.positions[:, 17:] - plain.positions[:, [6, 3]]
    lengths = np.linalg.norm(feet, axis=2)
    assert np.isfinite(feet).all()
    assert lengths == pytest.approx(lengths[:1].repeat(30, axis=0), rel=1e-4)
