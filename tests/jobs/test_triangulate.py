"""The triangulate job: tracks of several views and a calibration become labeled tracks, a report and a page."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from calibration.rigs import toml
from scipy.spatial.transform import Rotation
from tracks.track_samples import write_tracks
from triangulation.scenes import rig, view_of, walk_of_limbs

from jobs.command_line.main import run_job
from pipelines.tracks.keypoint_reader import read_tracks
from schemas.layouts import layout

LIMBS12, LIMBS14 = layout("limbs12"), layout("limbs14")
WALK = walk_of_limbs(45)


@pytest.fixture
def films(tmp_path, monkeypatch):
    """Tracks of two sessions by three cameras, and their calibration."""
    monkeypatch.chdir(tmp_path)
    tracks = []
    for session in ("one", "two"):
        for number, view in enumerate(view_of(one, [WALK], noise_px=1.0) for one in rig(3)):
            video = f"/films/{session}/cam0{number + 1}.mp4"
            tracks += [replace(view.tracks[0], video=video, track_id=f"{session}{number}", subject=None, camera=None)]
    write_tracks(tmp_path / "one.parquet", tracks[:3])
    write_tracks(tmp_path / "both.parquet", tracks)
    (tmp_path / "Calib.toml").write_text(toml(rig(3)))
    return tmp_path


def triangulate(*arguments):
    return run_job("triangulate", ["tracks=one.parquet", "calibration=Calib.toml", "output=out", *arguments])


def test_views_become_labeled_tracks_with_the_quality_of_each_label(films, capsys):
    assert triangulate() == 0
    tracks = list(read_tracks("out/tracks"))
    assert [(track.camera, len(track), track.positions_layout) for track in tracks] == [
        (f"cam0{number}", 45, "limbs14") for number in (1, 2, 3)
    ]
    for track, camera in zip(tracks, rig(3), strict=True):
        assert track.positions is not None
        assert np.linalg.norm(track.positions[:, 2:] - camera.to_camera(WALK), axis=-1).mean() < 0.012
    (file,) = (films / "out" / "tracks").glob("*.parquet")
    row = pq.read_table(file).to_pylist()[0]
    assert len(row["label_residuals_px"]) == len(row["label_views"]) == 45 * 14
    assert np.nanmedian(row["label_residuals_px"]) < 2
    report = json.loads((films / "out" / "report.json").read_text())
    assert (report["people"], report["tracks"], report["frames"]) == (1, 3, 135)
    assert "Triangulated session" in (films / "out" / "sessions" / "one.html").read_text()
    capsys.readouterr()
    assert triangulate() == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.ray
def test_sessions_are_added_and_those_that_are_there_are_kept(films, capsys):
    assert triangulate() == 0
    assert "out/tracks, out/sessions, out/report.json" in capsys.readouterr().out.replace(f"{films}/", "")
    first = (films / "out" / "sessions" / "one.json").stat().st_mtime_ns
    assert triangulate("tracks=both.parquet") == 0
    assert (films / "out" / "sessions" / "one.json").stat().st_mtime_ns == first
    assert len(list(read_tracks("out/tracks"))) == 6


def test_a_camera_that_is_off_and_one_that_saw_nobody_are_named(films):
    tilted = Rotation.from_euler("x", 1.0, degrees=True).as_matrix()
    wrong = rig(5)
    wrong[3] = replace(wrong[3], rotation=tilted @ wrong[3].rotation, translation=tilted @ wrong[3].translation)
    (films / "Calib.toml").write_text(toml(wrong))
    write_tracks(
        films / "one.parquet",
        [replace(view_of(one, [WALK], noise_px=1.0).tracks[0], track_id=one.name) for one in rig(5)[:4]],
    )
    assert triangulate() == 0
    notes = json.loads((films / "out" / "report.json").read_text())["notes"]
    assert [note for note in notes if "walk: cam04: its keypoints are" in note]
    assert "walk: cam05: has no tracks: its video shows nobody, or was not given" in notes


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["calibration=nowhere.toml"], 2, "calibration=nowhere.toml: cannot be read: No such file or directory"),
        (["calibration=Wrong.toml"], 1, "its camera cam03 is not in the calibration, which has cam01, cam02"),
        (["calibration=Turned.toml"], 1, "is 1280 × 720, but its camera cam01 was calibrated at 720 × 1280"),
    ],
)
def test_what_cannot_be_triangulated_is_one_line(films, capsys, arguments, code, message):
    (films / "Wrong.toml").write_text(toml(rig(3)[:2]))
    (films / "Turned.toml").write_text(toml([replace(one, width=720, height=1280) for one in rig(3)]))
    assert triangulate(*arguments) == code
    captured = capsys.readouterr()
    assert message in (captured.out + captured.err).replace("\n", " ").replace(str(films) + "/", "")


def test_an_output_mixes_no_calibrations(films, capsys):
    assert triangulate() == 0
    (films / "Calib.toml").write_text(toml(rig(4)[:3]))
    capsys.readouterr()
    assert triangulate() == 2
    assert "was begun with cameras=" in capsys.readouterr().err


def test_labels_are_moved_to_the_joints_of_a_skeleton(films, capsys):
    errors = {"data": {"world": {"errors": {"ankle": {"along": 0.1}}}}}
    (films / "recipe.yaml").write_text(json.dumps(errors))
    assert triangulate("joint_map=recipe.yaml") == 0
    left = LIMBS14.index("left_ankle")
    for track, camera in zip(read_tracks("out/tracks"), rig(3), strict=True):
        assert track.positions is not None
        knee, ankle = (camera.to_camera(WALK)[:, LIMBS12.index(f"left_{part}")] for part in ("knee", "ankle"))
        # The detector sees a tenth of the shin too high what the skeleton has there.
        expected = ankle + (ankle - knee) / 9
        assert np.linalg.norm(track.positions[:, left] - expected, axis=-1).mean() < 0.012
    capsys.readouterr()
    assert triangulate() == 2
    assert "joint_map" in capsys.readouterr().err
