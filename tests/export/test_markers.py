"""TRC and C3D, read by readers of others, hold the joints where the track has them, in the units that they state."""

import io

import ezc3d
import numpy as np
import pandas as pd
import pytest
from tracks.lifted_samples import lifted, standing

from pipelines.export.c3d_file import c3d_bytes
from pipelines.export.trc import trc_text
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.configs.export import C3dConfig, TrcConfig
from schemas.layouts import LAYOUTS, layout

H36M = layout("h36m17")


def positions(track: LiftedTrack, joint: str) -> np.ndarray:
    """Where a joint is, in metres: x right, y up, z towards the camera."""
    assert track.trajectory is not None
    return (track.positions[:, H36M.index(joint)] + track.trajectory) * [1, -1, -1]


def read_trc(text: str) -> tuple[dict[str, str], dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Header, positions by marker, frame numbers and times."""
    lines = text.splitlines()
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    names = [name for name in lines[3].split("\t")[2:] if name]
    table = pd.read_csv(io.StringIO(text), sep="\t", skiprows=5, header=None)
    assert table.shape[1] == 2 + 3 * len(names)
    values = table.to_numpy()[:, 2:].reshape(len(table), len(names), 3)
    by_name = {name: values[:, i] for i, name in enumerate(names)}
    return header, by_name, table[0].to_numpy(), table[1].to_numpy()


def read_c3d(content: bytes, folder) -> ezc3d.c3d:
    file = folder / "motion.c3d"
    file.write_bytes(content)
    return ezc3d.c3d(str(file))


def points(file: ezc3d.c3d) -> dict[str, np.ndarray]:
    """Positions (frames, 3) by label."""
    labels = file["parameters"]["POINT"]["LABELS"]["value"]
    return {label: file["data"]["points"][:3, i].T for i, label in enumerate(labels)}


def test_opensim_reads_millimetres_with_y_up_by_its_models_names():
    track = lifted(9)
    header, markers, frames, times_s = read_trc(trc_text(track, TrcConfig()))
    assert (header["Units"], header["DataRate"], header["NumFrames"], header["NumMarkers"]) == ("mm", "30", "9", "17")
    for marker, joint in {"Hip": "pelvis", "RKnee": "right_knee", "LWrist": "left_wrist", "Neck": "thorax"}.items():
        assert markers[marker] == pytest.approx(1000 * positions(track, joint), abs=0.01)
    assert frames.tolist() == list(range(1, 10))
    assert times_s == pytest.approx(track.timestamps_s, abs=1e-6)


def test_a_trc_can_be_in_metres_with_z_up():
    track = lifted(3)
    header, markers, _, _ = read_trc(trc_text(track, TrcConfig(unit="m", up="z")))
    x, y, z = positions(track, "head").T
    assert header["Units"] == "m"
    assert markers["Head"] == pytest.approx(np.stack([x, -z, y], -1), abs=1e-5)


def test_people_of_a_video_share_the_clock_of_trc_and_c3d(tmp_path):
    later = standing(start_frame=150, timestamps_s=5 + np.arange(20) / 30)
    _, _, frames, times_s = read_trc(trc_text(later, TrcConfig(), video_start_s=0.0))
    assert (frames[0], times_s[0]) == (151, pytest.approx(5, abs=1e-5))
    points_of_later = read_c3d(c3d_bytes(later, C3dConfig(), video_start_s=0.0), tmp_path)["header"]["points"]
    assert (points_of_later["first_frame"], points_of_later["last_frame"]) == (150, 169), "ezc3d counts from 0"


def test_c3d_holds_millimetres_with_z_up_and_says_so(tmp_path):
    track = lifted(9)
    file = read_c3d(c3d_bytes(track, C3dConfig()), tmp_path)
    about = file["parameters"]["POINT"]
    assert about["UNITS"]["value"] == ["mm"]
    assert about["X_SCREEN"]["value"] + about["Y_SCREEN"]["value"] == ["+X", "+Z"]
    assert about["RATE"]["value"][0] == pytest.approx(30)
    for marker, joint in {"Hip": "pelvis", "RAnkle": "right_ankle"}.items():
        x, y, z = 1000 * positions(track, joint).T
        assert points(file)[marker] == pytest.approx(np.stack([x, -z, y], -1), abs=0.01)


def test_c3d_can_be_in_metres_with_y_up(tmp_path):
    track = lifted(3)
    file = read_c3d(c3d_bytes(track, C3dConfig(unit="m", up="y")), tmp_path)
    assert file["parameters"]["POINT"]["UNITS"]["value"] == ["m"]
    assert points(file)["Head"] == pytest.approx(positions(track, "head"), abs=1e-5)


def test_c3d_says_how_far_to_trust_each_joint(tmp_path):
    scores = np.linspace(0, 1, 3 * 17).reshape(3, 17).astype(np.float32)
    track = lifted(3, joint_scores=scores, interpolated=np.array([False, True, False]))
    file = read_c3d(c3d_bytes(track, C3dConfig()), tmp_path)
    labels = file["parameters"]["ANALOG"]["LABELS"]["value"]
    channels = dict(zip(labels, file["data"]["analogs"][0], strict=True))
    assert channels["score right_ankle"] == pytest.approx(scores[:, 3], abs=1e-6)
    assert channels["observed"].tolist() == [1, 0, 1]
    assert channels["reprojection_px"] == pytest.approx([3, 3, 3])


def test_c3d_has_no_channels_of_what_is_unknown(tmp_path):
    file = read_c3d(c3d_bytes(lifted(3, joint_scores=None, reprojection_px=None), C3dConfig()), tmp_path)
    assert file["parameters"]["ANALOG"]["LABELS"]["value"] == ["observed"]
    assert len(points(file)) == 17


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_the_middles_of_hips_and_shoulders_once(name):
    joints = len(layout(name))
    track = lifted(2, layout=name, positions=np.random.default_rng(0).normal(0, 1, (2, joints, 3)).astype(np.float32))
    _, markers, _, _ = read_trc(trc_text(track, TrcConfig()))
    assert {"Hip", "Neck", "LKnee", "RWrist"} <= markers.keys()
    assert len(markers) >= joints
