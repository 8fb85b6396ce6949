"""Human3.6M from its npz pair: joints, cameras, what is dropped, what is cut, what stays unlabeled."""

import numpy as np
import pytest
from pose_files import COCO_SYMMETRY, H36M_SYMMETRY, human36m_pair, noise, save_npz

from pipelines.datasets.camera_table import Place
from pipelines.datasets.human36m import JOINTS, Human36M
from pipelines.datasets.human36m_cameras import HUMAN36M_CAMERAS
from pipelines.synthetic.cameras import project
from schemas.errors import UserError
from schemas.layouts import layout

# 32-joint parents and the joints that do not move, as Human3.6M records them.
PARENTS_32 = (
    *(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26, 27, 28, 27),
    30,
)


def import_pair(folder, options=None, **pair):
    positions, keypoints = human36m_pair(folder, **pair)
    source = Human36M(
        Human36M.Config.model_validate({"positions": positions, "keypoints": keypoints} | (options or {}))
    )
    return source, list(source.tracks())


def test_a_track_for_every_sequence_and_camera(tmp_path):
    source, tracks = import_pair(tmp_path)
    assert {(t.subject, t.action) for t in tracks} == {
        ("S1", "Walking"),
        ("S1", "Walking 1"),
        ("S11", "Directions 1"),
        ("S2", "Eating"),
    }
    assert [t.camera for t in tracks[:4]] == ["54138969", "55011271", "58860488", "60457274"]
    assert [(t.width, t.height) for t in tracks[:4]] == [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
    assert len({t.track_id for t in tracks}) == len(tracks) == 16
    assert all(t.fps == 50 and np.allclose(np.diff(t.timestamps_s), 0.02) for t in tracks)
    assert all(t.intrinsics_provenance == "calibrated" and t.layout == "coco17" for t in tracks)
    assert source.notes == ["S11 Directions is left out: its recording is known to be corrupt"]


def test_subjects_without_mocap_are_unlabeled_with_intrinsics(tmp_path):
    _, tracks = import_pair(tmp_path)
    unlabeled = [t for t in tracks if t.positions is None]
    assert {t.subject for t in unlabeled} == {"S2"}
    assert all(t.intrinsics is not None and t.positions_layout is None and len(t) == 8 for t in unlabeled)


def test_positions_are_17_joints_in_camera_space_and_2d_is_cut_to_the_mocap(tmp_path):
    _, tracks = import_pair(tmp_path, frames_2d=9)
    track = tracks[1]
    assert track.positions is not None
    assert (len(track), track.positions_layout) == (6, "h36m17")
    world = noise(6, 32, 3)[:, list(JOINTS)]
    # X = R x + t with the published R and t of S1, 55011271, to their leading digits.
    rotation = [[0.92816834, 0.37215385, 0.00224838], [0.08166409, -0.19777233, -0.97684036]]
    rotation.append([-0.36309022, 0.90685591, -0.21395759])
    expected = world @ np.array(rotation).T + [0.2514252, 0.4209422, 5.5881959]
    assert np.allclose(track.positions, expected, atol=1e-6)
    detections = 100 + 50 * noise(9, 17, 3, seed=1)
    assert np.allclose(track.keypoints, detections[:6, :, :2])
    assert np.allclose(track.scores, np.clip(detections[:6, :, 2], 0, 1))
    assert np.allclose(track.boxes[:, 2:], track.keypoints.max(1))


def test_world_to_camera_is_that_of_the_reference():
    # Reference numbers (world_to_camera of golden_temporal_conv.json), whose translation is rounded.
    orientation = (0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088)
    place = Place(orientation=orientation, translation_m=(1.8411, 4.9552, 1.5634))
    assert np.allclose(place.to_camera(np.array([0.5, -0.2, 0.9])), [-0.8608919, -0.3473701, 5.2870536], atol=1e-6)
    ours = HUMAN36M_CAMERAS.place("S1", "54138969")
    assert np.allclose(ours.orientation, orientation, atol=1e-6)
    assert ours.translation_m == pytest.approx(place.translation_m, abs=1e-4)


def test_kept_joints_have_the_parents_of_the_layout():
    for child, parent in layout("h36m17").bones:
        above = PARENTS_32[JOINTS[child]]
        while above not in JOINTS:
            above = PARENTS_32[above]
        # Both shoulders hang on the spine there, and on the thorax here.
        assert JOINTS[parent] == (13 if child in (11, 14) else above)


def test_without_2d_the_true_joints_are_projected(tmp_path):
    _, tracks = import_pair(tmp_path, {"keypoints": None})
    assert len(tracks) == 12
    for track in tracks:
        assert track.intrinsics is not None
        assert track.positions is not None
        assert (track.layout, track.intrinsics.distortion) == ("h36m17", "human36m")
        assert np.allclose(track.keypoints, project(track.intrinsics, track.positions), atol=1e-3)
        assert (track.scores == 1).all()


def test_cameras_see_the_middle_of_the_room():
    for subject in ("S1", "S5", "S6", "S7", "S8", "S9", "S11"):
        for name, camera in HUMAN36M_CAMERAS.cameras.items():
            assert camera.intrinsics is not None
            middle = HUMAN36M_CAMERAS.place(subject, name).to_camera(np.array([[0.0, 0.0, 0.9]]))
            assert 4 < middle[0, 2] < 6
            assert np.abs(project(camera.intrinsics, middle) - 500).max() < 200


@pytest.mark.parametrize(
    ("metadata", "options", "name"),
    [
        ({"layout_name": "coco"}, {}, "coco17"),
        ({}, {}, "coco17"),
        ({"keypoints_symmetry": H36M_SYMMETRY}, {}, "h36m17"),
        ({"keypoints_symmetry": [s[::-1] for s in H36M_SYMMETRY]}, {}, "h36m17"),
        ({"layout_name": "h36m", "keypoints_symmetry": H36M_SYMMETRY, "num_joints": 17}, {}, "h36m17"),
        ({"keypoints_symmetry": H36M_SYMMETRY}, {"keypoints_layout": "h36m17"}, "h36m17"),
    ],
)
def test_the_2d_layout_follows_from_the_metadata_never_the_file_name(tmp_path, metadata, options, name):
    assert {track.layout for track in import_pair(tmp_path, options, **metadata)[1]} == {name}


@pytest.mark.parametrize(
    ("pair", "options", "text"),
    [
        ({"frames_2d": 5}, {}, r"S1/Walking/54138969: has 5 frames of 2D for 6 of mocap, and must have at least"),
        ({"layout_name": "h36m"}, {}, r"layout_name=h36m, but its keypoints_symmetry is not that of h36m17"),
        (
            {"layout_name": "humaneva20"},
            {},
            r"layout_name=humaneva20 is no known joint layout; give source.keypoints_l",
        ),
        ({}, {"keypoints_layout": "mpii16"}, r"source.keypoints_layout=mpii16, but its keypoints_symmetry is not"),
        ({"keypoints_symmetry": [[1], [2]]}, {}, r"has no layout_name and a keypoints_symmetry of no known layout"),
        ({"keypoints_symmetry": None}, {}, r"metadata lacks keypoints_symmetry"),
        ({}, {"positions": "none.npz"}, r"none.npz: cannot be read: No such file"),
        ({}, {"cameras": "none.json"}, r"source.cameras=none.json: cannot be read: No such file"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(tmp_path, pair, options, text):
    with pytest.raises(UserError, match=text) as error:
        import_pair(tmp_path, options, **pair)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("motions", "text"),
    [
        ({"S1": {"Walk": noise(4, 17, 3)}}, r"positions_3d of S1 Walk must be an array of numbers \(n, 32, 3\), found"),
        ({"S1": [noise(4, 32, 3)]}, r"positions_3d of S1 must be a dict with names, found list"),
        ({"S20": {"Walk": noise(4, 32, 3)}}, r"S20 has positions, and the table lacks the orientation and translation"),
    ],
)
def test_3d_that_does_not_fit_is_one_clear_line(tmp_path, motions, text):
    with pytest.raises(UserError, match=text):
        list(Human36M(Human36M.Config(positions=save_npz(tmp_path / "p.npz", positions_3d=motions))).tracks())


def test_3d_without_2d_is_noted(tmp_path):
    positions, _ = human36m_pair(tmp_path)
    images = {"S1": {"Walking": [noise(6, 17, 2)] * 4}}
    metadata = {"keypoints_symmetry": COCO_SYMMETRY}
    keypoints = save_npz(tmp_path / "k.npz", positions_2d=images, metadata=metadata)
    source = Human36M(Human36M.Config(positions=positions, keypoints=keypoints))
    assert len(list(source.tracks())) == 4
    assert source.notes == ["2 sequences have positions but no keypoints: S1 Walking 1, S11 Directions 1"]
