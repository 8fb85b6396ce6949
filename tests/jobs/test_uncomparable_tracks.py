"""What a corpus cannot be aligned, embedded or curated with is one line, before anything is written."""

import json
from dataclasses import replace

import numpy as np
import pytest
from aligners.two_views import tracks, write_aligner
from curation.clips import cut
from tracks.track_samples import write_tracks

from jobs.command_line.main import run_job

JOBS = {
    "align": ["reference=t0C0"],
    "train_aligner": [],
    "embed": ["aligner=aligner.pt"],
    "curate": [],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An aligner that sees 9 frames, 0.6 s."""
    monkeypatch.chdir(tmp_path)
    write_aligner("aligner.pt")
    return tmp_path


def run(job, *arguments):
    return run_job(job, ["tracks=tracks", "output=out", *JOBS[job], *arguments])


@pytest.mark.parametrize("job", JOBS)
def test_tracks_of_two_layouts(folder, capsys, job):
    one, two = tracks()[:2]
    fewer = {name: getattr(two, name)[:, :16] for name in ("keypoints", "scores")}
    write_tracks(folder / "tracks" / "a.parquet", [one])
    write_tracks(folder / "tracks" / "b.parquet", [replace(two, layout="mpii16", **fewer)])
    assert run(job) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{job}: tracks=")
    assert line.endswith("tracks: tracks must share one layout, found h36m17, mpii16; give them separately")
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("align", "reference=t0C0: is the only recording; give a second one, or repetitions=true for its own"),
        ("train_aligner", "tracks: no two of them, 1 s long or more, have the same action (1 of 1 have an action at"),
    ],
)
def test_one_track_alone(folder, capsys, job, message):
    write_tracks(folder / "tracks" / "a.parquet", tracks()[:1])
    assert run(job) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{job}: {message}")
    assert not (folder / "out").exists()


def test_a_track_that_is_shorter_than_what_the_aligner_sees(folder, capsys):
    brief = replace(cut(tracks()[1], 0, 12), track_id="brief")  # at 25 frames/s
    write_tracks(folder / "tracks" / "a.parquet", [tracks()[0], brief])
    reason = "track brief: lasts 0.47 s, and the aligner sees 0.60 s at once; give a longer one"
    assert run("embed") == 0
    assert json.loads((folder / "out" / "report.json").read_text())["failed"] == {"brief": reason}
    asked = ["aligner=aligner.pt", "output=aligned"]
    assert run("align", *asked, "start_s=1", "stop_s=2") == 1
    (entry,) = json.loads((folder / "aligned" / "report.json").read_text())["recordings"]
    assert entry["error"] == reason
    capsys.readouterr()
    assert run("align", *asked, "reference=brief", "others=[t0C0]") == 2
    assert capsys.readouterr().err == f"align: {reason}\n"
    assert run("align", *asked, "start_s=1", "stop_s=2", "moment_s=1.5", "moments=3") == 0
    moments = json.loads((folder / "aligned" / "report.json").read_text())["moments"]
    assert {moment["track_id"] for moment in moments} == {"t0C0"}


def test_a_track_that_no_trunk_is_seen_of(folder, capsys):
    hidden = replace(tracks()[1], track_id="hidden", scores=np.zeros_like(tracks()[1].scores))
    write_tracks(folder / "tracks" / "a.parquet", [tracks()[0], hidden])
    assert run("align") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "track hidden: shoulders and hips are never seen together; give another track" in shown
