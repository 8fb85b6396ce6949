"""The align job: recordings in step with a reference, by their keypoints or by their lifted poses."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from curation.clips import clip, cut, mirror, retime, shaken
from datasets.moving_people import track, walking
from mlflow_store import datasets_of
from tracks.lifted_samples import lifted, write_poses
from tracks.track_samples import write_tracks

from jobs.command_line.main import run_job

CLIP = clip(0)


@pytest.fixture
def films(tmp_path, monkeypatch):
    """The reference, the same played faster and mirrored, a longer film of it, and somebody else."""
    monkeypatch.chdir(tmp_path)
    faster = replace(shaken(retime(mirror(CLIP), 1.5), 1), track_id="faster", video="faster.mp4")
    longer = replace(shaken(cut(CLIP, 25, 150), 2), track_id="longer")
    longer = replace(longer, timestamps_s=longer.timestamps_s + 9)
    write_tracks(tmp_path / "tracks" / "a.parquet", [CLIP, faster, longer, clip(3)])
    return tmp_path


def align(*arguments, reference="clip0"):
    return run_job("align", ["tracks=tracks", f"reference={reference}", "output=out", *arguments])


def report(folder):
    return json.loads((folder / "out" / "report.json").read_text())


def test_recordings_are_put_in_step_with_the_reference(films, capsys):
    assert align("start_s=2", "stop_s=4", "events=[up=3]", "others=[faster,longer]") == 0
    faster, longer = sorted(report(films)["recordings"], key=lambda entry: entry["track_id"])
    assert (faster["mirrored"], longer["mirrored"]) == (True, False)
    assert faster["repetitions"][0]["events"]["up"]["time_s"] == pytest.approx(2.0, abs=0.08)
    assert longer["repetitions"][0]["events"]["up"]["time_s"] == pytest.approx(9 + 3, abs=0.08)
    assert longer["repetitions"][0]["events"]["up"]["confidence"] > 0.5
    assert set(longer["deviations"]) == {"start to up", "up to end"}
    rows = {row["track_id"]: row for row in pq.read_table(films / "out" / "alignment.parquet").to_pylist()}
    np.testing.assert_allclose(rows["longer"]["recording_s"], np.add(rows["longer"]["reference_s"], 9), atol=0.1)
    assert "in step from 1.33 to 2.67 s, mirrored" in capsys.readouterr().out.replace("\n", " ")
    page = (films / "out" / "longer.html").read_text()
    assert "In step" in page
    assert "left ankle" in page


def test_repetitions_are_counted_and_cut(films):
    assert align("start_s=2", "stop_s=4", "repetitions=true", "max_distance=0.3", "others=[clip0,longer]") == 0
    for entry in report(films)["recordings"]:
        assert len(entry["repetitions"]) == 1
    assert align("path=nearest", "others=[longer]") == 0


def test_repetitions_are_counted_without_one_being_marked(films, capsys):
    """Somebody lifts one foot after the other, which takes 1.6 s, for 12 s; somebody else for 8 s, a bit faster."""
    made = []
    for name, frames, fps in (("one", 300, 25.0), ("two", 200, 28.0)):
        walk = shaken(track(walking(frames)), frames, name=name)
        unlabeled = {"positions": None, "positions_layout": None}
        made.append(replace(walk, fps=fps, timestamps_s=np.arange(frames) / fps, **unlabeled))
    write_tracks(films / "walks" / "a.parquet", made)
    assert align("tracks=walks", "repetitions=true", reference="one") == 0
    repetitions = {entry["track_id"]: entry["repetitions"] for entry in report(films)["recordings"]}
    assert len(repetitions["one"]) in (7, 8)
    assert len(repetitions["two"]) in (4, 5)
    starts = np.array([repetition["start_s"] for repetition in repetitions["one"]])
    np.testing.assert_allclose(np.diff(starts)[1:], 1.6, atol=0.2)  # the first one may be cut by the beginning
    assert "repetitions, the first from" in " ".join(capsys.readouterr().out.split())
    assert align("tracks=tracks", "repetitions=true", "others=[longer]") == 2
    assert "no motion that repeats is found in clip0" in capsys.readouterr().err


def test_the_run_names_the_tracks_or_the_poses_that_it_compares(films):
    assert align("start_s=2", "stop_s=4", "pages=0") == 0
    assert [kind[:2] for kind in datasets_of("align")] == [("aligning", "raylift")]
    write_poses(films / "poses" / "a.parquet", [lifted(track_id="one"), lifted(track_id="two")])
    asked = ["poses=poses", "reference=one", "output=lifted"]
    assert run_job("align", asked) == 0
    assert datasets_of("align") == {("aligning", "raylift.poses", "poses"): {"tracks": 2, "files": 1}}


def test_similar_moments_are_found_in_all_recordings(films):
    assert align("moment_s=3", "moments=2") == 0
    first = report(films)["moments"][0]
    assert first["track_id"] == "longer"
    assert first["time_s"] == pytest.approx(12, abs=0.1)


def test_a_relaunch_says_what_is_there_and_new_recordings_alone_are_put_in_step(films, capsys):
    asked = ["start_s=2", "stop_s=4"]
    assert align(*asked) == 0
    (part,) = (films / "out" / "in_step").iterdir()
    before, written = report(films), part.stat().st_mtime_ns
    capsys.readouterr()
    assert align(*asked, "run_name=another name") == 0
    assert "align: nothing to do: out holds this alignment" in capsys.readouterr().out
    (films / "out" / "report.json").unlink()  # as if it had been interrupted
    assert align(*asked) == 0
    assert report(films) == before
    write_tracks(films / "tracks" / "b.parquet", [replace(shaken(CLIP, 5), track_id="new")])
    assert align(*asked) == 0
    assert {entry["track_id"] for entry in report(films)["recordings"]} == {"faster", "longer", "clip3", "new"}
    assert part.stat().st_mtime_ns == written
    assert align("start_s=2.5", "stop_s=4") == 0  # another reference: nothing of the old one is left
    assert part not in set((films / "out" / "in_step").iterdir())


def test_the_output_of_another_job_is_left_alone(films, capsys):
    (films / "out").mkdir()
    (films / "out" / "report.json").write_text('{"format": "raylift.embed/1"}')
    assert align() == 2
    assert "output=out: holds the raylift.embed/1 of another job; give another output" in capsys.readouterr().err


def test_lifted_people_are_compared_in_centimetres(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_poses(tmp_path / "poses.parquet", [lifted(60, track_id=name) for name in ("one", "two")])
    assert run_job("align", ["poses=poses.parquet", "reference=one", "output=out"]) == 0
    document = report(tmp_path)
    assert document["unit"] == "cm"
    assert document["recordings"][0]["distance"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reference=clip7"], "reference=clip7: no track is called so; there is clip"),
        (["reference=clip"], "reference=clip: 2 tracks begin so, the first is clip0; give more of the id"),
        (["others=[clip0]"], "reference=clip0: is the only recording; give a second one"),
        (["start_s=2", "stop_s=2.1"], "of the reference remain, which look like most moments; give at least 0.4 s"),
        (["start_s=20"], "start_s=20: the reference is from 0.00 to 5.93 s"),
        (["start_s=2", "events=[up=1]"], "events: up=1: the reference is from 2.00 to 5.93 s"),
        (["poses=lifted"], "tracks, poses: give one of them"),
    ],
)
def test_what_cannot_be_put_in_step_is_one_line(films, capsys, arguments, message):
    assert align(*arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_recording_shorter_than_the_reference_can_be_is_said(films, capsys):
    write_tracks(films / "tracks" / "b.parquet", [replace(cut(CLIP, 0, 30), track_id="brief")])
    assert align("others=[brief]") == 1
    assert "nothing in it is in step with the reference: it lasts 1.13 s" in capsys.readouterr().out.replace("\n", " ")
