"""Motion capture without video: cameras see everyone, errors are as large as stated, everything is repeatable."""

from dataclasses import fields

import numpy as np
import pytest
from pose_files import noise, save_npz
from pydantic import ValidationError

from pipelines.datasets.detector_noise import detect_like
from pipelines.datasets.mocap17 import Mocap17
from pipelines.synthetic.cameras import project
from schemas.errors import UserError
from schemas.layouts import layout, shared_joints

H36M, LIMBS = layout("h36m17"), layout("limbs12")


def walking_away() -> np.ndarray:
    """Somebody who covers five metres in 40 frames."""
    return noise(40, 17, 3) + np.linspace(0, 5, 40, dtype=np.float32)[:, None, None] * np.array([1, 0, 0], np.float32)


MOTIONS = {"S1": {"walk 1": noise(30, 17, 3), "walking": noise(20, 17, 3, seed=1)}, "S2": {"away": walking_away()}}


@pytest.fixture
def file(tmp_path):
    return save_npz(tmp_path / "mocap.npz", positions_3d=MOTIONS)


def tracks(file, **options):
    return list(Mocap17(Mocap17.Config(positions=file, **options)).tracks())


def same(first, second) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(first)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def test_every_joint_is_in_view_of_every_camera(file):
    all_tracks = tracks(file, noise_px=0)
    assert len(all_tracks) == 12
    assert [t.camera for t in all_tracks[:4]] == ["C0", "C1", "C2", "C3"]
    for track in all_tracks:
        assert track.intrinsics is not None
        assert track.positions is not None
        assert (track.width, track.fps, track.positions_layout) == (1000, 60, "h36m17")
        assert (track.intrinsics.distortion, track.intrinsics_provenance) == ("human36m", "calibrated")
        assert np.allclose(track.keypoints, project(track.intrinsics, track.positions), atol=1e-3)
        assert (track.keypoints > 0).all()
        assert (track.keypoints < 1000).all()
        assert (track.positions[..., 2] >= 1).all()


def test_cameras_stand_where_they_are_asked_to_unless_somebody_would_leave_the_image(file):
    def depths_m(subject):
        return [
            float(np.median(t.positions[..., 2])) for t in tracks(file, subjects=(subject,)) if t.positions is not None
        ]

    near, far = depths_m("S1"), depths_m("S2")
    assert all(4.2 < distance < 6.3 for distance in near)
    assert max(far) > 6.3


def test_camera_space_is_the_world_moved(file):
    track = tracks(file)[0]
    assert track.positions is not None
    between = np.linalg.norm(track.positions[:, 1:] - track.positions[:, :1], axis=-1)
    world = MOTIONS["S1"]["walk 1"]
    assert np.allclose(between, np.linalg.norm(world[:, 1:] - world[:, :1], axis=-1), atol=1e-5)
    # y points down: what is higher in the world is further up in the image.
    assert np.corrcoef(track.positions[..., 1].ravel(), world[..., 2].ravel())[0, 1] < -0.9


def test_the_same_seed_and_name_give_the_same_track_whatever_else_is_imported(file):
    everything = {t.track_id: t for t in tracks(file)}
    some = tracks(file, subjects=("S1",), actions=("walk",))
    assert {t.action for t in some} == {"walk 1"}
    assert all(same(t, everything[t.track_id]) for t in some)
    other = tracks(file, seed=1)[0]
    assert other.track_id not in everything
    assert not np.array_equal(other.keypoints, tracks(file)[0].keypoints)


def test_errors_are_as_stated():
    true = np.full((20_000, 3, 2), 500.0)
    detected, scores = detect_like(np.random.default_rng(0), true, 5.0, 1000)
    distance = np.linalg.norm(detected - true, axis=-1)
    # Bivariate Student-t, 3 degrees of freedom, scale 5 / sqrt(3): P(distance > r) = (1 + r² / 25) ** -1.5.
    for r in (1.0, 5.0, 20.0):
        assert np.mean(distance > r) == pytest.approx((1 + r**2 / 25) ** -1.5, rel=0.1)
    assert distance.mean() == pytest.approx(5, rel=0.03)
    assert ((scores >= 0) & (scores <= 1)).all()
    order = scores.ravel()[np.argsort(distance.ravel())]
    assert (np.diff(order.reshape(10, -1).mean(1)) < 0).all(), "the larger the error, the lower the score"
    assert np.corrcoef(distance.ravel(), scores.ravel())[0, 1] > -0.95, "but not by itself"
    assert np.median(scores) == pytest.approx(np.exp(-np.median(distance) / 20), abs=0.01)
    twice, _ = detect_like(np.random.default_rng(0), true, 5.0, 2000)
    assert np.allclose(twice - true, 2 * (detected - true)), "in proportion to the width"


def test_joints_that_the_motion_lacks_are_not_made_up(file):
    for plain, limbs in zip(tracks(file), tracks(file, layout="limbs12"), strict=True):
        pairs = np.array(shared_joints(LIMBS, H36M))
        assert len(pairs) == len(LIMBS)
        assert np.array_equal(limbs.keypoints, plain.keypoints[:, pairs[:, 1]])
        assert np.array_equal(limbs.scores, plain.scores[:, pairs[:, 1]])
        assert (limbs.layout, limbs.positions_layout) == ("limbs12", "h36m17")


def test_up_is_the_way_from_the_ankles_to_the_head(file):
    for track in tracks(file):
        assert track.up is not None
        assert np.linalg.norm(track.up) == pytest.approx(1, abs=1e-6)
        assert track.up[1] < -0.9, "cameras stand nearly level, and y points down"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"subjects": ("S9",)}, r"^source.subjects: there is no 'S9' in the file; it has S1, S2"),
        ({"actions": ("wal",)}, r"^source.actions: there is no 'wal' in the file; it has away, walk, walk 1, walking"),
    ],
)
def test_unknown_names_are_said(file, options, text):
    with pytest.raises(UserError, match=text):
        tracks(file, **options)


@pytest.mark.parametrize("options", [{"distance_m": (4500, 6000)}, {"height_m": (1300, 1800)}, {"fps": 1e9}])
def test_millimetres_and_rates_of_no_camera_are_refused(file, options):
    with pytest.raises(ValidationError, match="less than or equal to"):
        tracks(file, **options)


def test_real_motion(shared_data):
    file = str(shared_data / "mocap" / "cmu_mocap_17j.npz")
    all_tracks = tracks(file, subjects=("S01", "S135"), layout="limbs12", noise_px=0)
    assert len(all_tracks) == 4 * 14
    for track in all_tracks:
        assert track.positions is not None
        # Bone lengths were made constant: a femur keeps its length through every rigid motion.
        femur = np.linalg.norm(track.positions[:, 2] - track.positions[:, 1], axis=-1)
        assert np.ptp(femur) < 1e-3
        assert ((track.keypoints > 0) & (track.keypoints < 1000)).all()


def test_a_layout_with_a_face_is_refused_with_what_to_give_instead():
    with pytest.raises(ValidationError, match="has not all joints of coco17, such as a face; give limbs12"):
        Mocap17.Config(positions="a.npz", layout="coco17")  # pyright: ignore[reportArgumentType]
