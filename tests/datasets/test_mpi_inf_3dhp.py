"""MPI-INF-3DHP arrays: its order of joints becomes h36m17, millimetres metres, and invalid frames go."""

import numpy as np
import pytest
from pose_files import noise, save_npz

from pipelines.datasets.mpi_inf_3dhp import MpiInf3dhp
from schemas.errors import UserError
from schemas.layouts import layout

# The dataset's 17 joints as mmpose lists them (Apache-2.0, configs/_base_/datasets/mpi_inf_3dhp.py).
NAMES = (
    *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
)
RENAMED = {"head_top": "head", "head": "neck", "neck": "thorax"}


def arrays(**changes):
    return {"data_3d": 1000 * noise(6, 17, 3) + [0, 0, 4000], "data_2d": 100 * noise(6, 17, 2), **changes}


def tracks(folder, data):
    source = MpiInf3dhp(MpiInf3dhp.Config(arrays=save_npz(folder / "d.npz", data=data), fps=25))
    return list(source.tracks()), source.notes


@pytest.mark.parametrize("wrap", [lambda cameras: cameras, lambda cameras: [cameras]])
def test_joints_by_name_and_metres(tmp_path, wrap):
    (track,), notes = tracks(tmp_path, {"S1 Seq2": wrap({"3": arrays()})})
    assert (track.subject, track.action, track.camera, track.fps) == ("S1", "Seq2", "3", 25)
    assert (track.width, track.height, track.layout, track.positions_layout) == (2048, 2048, "h36m17", "h36m17")
    assert track.positions is not None
    for theirs, name in enumerate(NAMES):
        ours = layout("h36m17").index(RENAMED.get(name, name))
        assert np.allclose(track.positions[:, ours], arrays()["data_3d"][:, theirs] / 1000)
        assert np.allclose(track.keypoints[:, ours], arrays()["data_2d"][:, theirs])
    assert (track.intrinsics, notes) == (None, [])


def test_stretches_of_valid_frames_are_tracks(tmp_path):
    stretches, notes = tracks(tmp_path, {"TS5": arrays(valid=np.array([[0, 1, 1, 0, 1, 1]]).T)})
    assert [(t.start_frame, len(t), t.subject, t.action, t.width) for t in stretches] == [
        (1, 2, "TS5", "TS5", 1920),
        (4, 2, "TS5", "TS5", 1920),
    ]
    assert stretches[1].timestamps_s.tolist() == [4 / 25, 5 / 25]
    assert stretches[0].track_id != stretches[1].track_id
    assert notes == ["mpi_inf_3dhp:d/TS5/TS5/0: 2 of 6 frames are left out as not valid"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"TS1": arrays(data_2d=noise(5, 17, 2))}, r"data_2d of .*TS1/0 must be an array of numbers \(6, 17, 2\)"),
        ({"TS1": {"0": {"data_2d": noise(6, 17, 2)}}}, r"data_3d of .* must be an array of numbers .*, found NoneType"),
        ({"TS1": 3}, r"data of TS1 must be a dict with names, found int"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(tmp_path, data, text):
    with pytest.raises(UserError, match=text):
        tracks(tmp_path, data)
