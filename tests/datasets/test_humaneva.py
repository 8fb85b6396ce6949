"""HumanEva: chunks, unlabeled ones, cameras from a table that has no intrinsics."""

import numpy as np
import pytest
from pose_files import camera_json, noise, save_npz

from pipelines.datasets.camera_table import read_cameras
from pipelines.datasets.humaneva import HumanEva15
from schemas.errors import UserError

SYMMETRY = [[2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]]


def source(folder, cameras=None):
    motions = {"Train/S1": {"Walking 1 chunk0": noise(5, 15, 3)}}
    images = {
        "Train/S1": {"Walking 1 chunk0": [noise(5, 15, 2)] * 3},
        "Unlabeled/S4": {"Box 1 chunk1": [noise(3, 15, 2)] * 3},
    }
    metadata = {"layout_name": "humaneva15", "num_joints": 15, "keypoints_symmetry": SYMMETRY}
    return HumanEva15(
        HumanEva15.Config(
            positions=save_npz(folder / "data_3d_humaneva15.npz", positions_3d=motions),
            keypoints=save_npz(folder / "data_2d_humaneva15_gt.npz", positions_2d=images, metadata=metadata),
            cameras=cameras or camera_json(folder / "cameras.json"),
        )
    )


def test_labeled_and_unlabeled_chunks(tmp_path):
    tracks = list(source(tmp_path).tracks())
    assert [(t.subject, t.action, t.camera, len(t)) for t in tracks[::3]] == [
        ("Train/S1", "Walking 1 chunk0", "C1", 5),
        ("Unlabeled/S4", "Box 1 chunk1", "C1", 3),
    ]
    assert all((t.width, t.height, t.fps, t.layout) == (640, 480, 60, "humaneva15") for t in tracks)
    assert all(t.intrinsics is None and t.intrinsics_provenance == "none" for t in tracks)
    assert [t.positions_layout for t in tracks] == ["humaneva15"] * 3 + [None] * 3
    assert tracks[0].positions is not None
    x, y, z = np.moveaxis(noise(5, 15, 3), -1, 0)
    assert np.allclose(tracks[0].positions, np.stack([x, 1 - z, y + 4], -1), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"extrinsics": {}},
            r"Train/S1 has positions, and the table lacks the orientation and translation of camera C1",
        ),
        ({"cameras": {"C1": {"width": 640, "height": 480}}}, r"has 2D of 3 cameras, the table of cameras has 1"),
        ({"cameras": {"C1": {"width": 640}}}, r"cameras.json: cameras.C1.height: Field required"),
        ({"extrinsics": {"S1": {"C1": {"orientation": [1, 0, 0, 0]}}}}, r"give either translation_m or translation_mm"),
        (
            {"extrinsics": {"S1": {"C1": {"orientation": [1, 1, 0, 0], "translation_m": [0, 0, 0]}}}},
            r"orientation must be a unit quaternion \(w, x, y, z\), found \(1.0, 1.0, 0.0, 0.0\)",
        ),
    ],
)
def test_a_table_of_cameras_that_does_not_do_is_reported(tmp_path, changes, text):
    with pytest.raises(UserError, match=text):
        list(source(tmp_path, camera_json(tmp_path / "cameras.json", **changes)).tracks())


def test_a_table_that_is_no_json_is_reported(tmp_path):
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(UserError, match=r"c.json: it: Invalid JSON.*; the form is described in pipelines/datasets/"):
        read_cameras(str(tmp_path / "c.json"))
