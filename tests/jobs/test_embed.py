"""The embed job: tracks become embeddings, among which align looks for moments."""

import json
from dataclasses import replace

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from aligners.two_views import tracks, write_aligner
from mlflow_store import datasets_of
from tracks.track_samples import write_tracks

from jobs.command_line.main import run_job


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Eight tracks, one without a frame rate, and two aligners."""
    monkeypatch.chdir(tmp_path)
    timeless = replace(tracks()[0], track_id="timeless", fps=np.nan, timestamps_s=np.zeros(150))
    write_tracks(tmp_path / "tracks" / "a.parquet", [*tracks(), timeless])
    for seed, name in enumerate(("one", "two")):
        write_aligner(f"{name}.pt", seed)
    return tmp_path


def embed(*arguments):
    return run_job("embed", ["tracks=tracks", "aligner=one.pt", "output=out", *arguments])


def search(*arguments):
    asked = ["tracks=tracks", "reference=t0C0", "others=[t1C0]", "moment_s=2", "moments=1", "output=found"]
    return run_job("align", [*asked, "corpus=out", *arguments])


def test_every_frame_is_embedded_and_failures_are_rows(corpus, capsys):
    assert embed() == 0
    (file,) = (corpus / "out" / "embeddings").iterdir()
    rows = {row["track_id"]: row for row in pq.read_table(file).to_pylist()}
    assert len(rows["t0C0"]["vectors"]) == 8 * rows["t0C0"]["frames"] == 8 * len(rows["t0C0"]["times_s"])
    assert rows["timeless"]["error"].startswith("track timeless: its frame rate is unknown")
    report = json.loads((corpus / "out" / "report.json").read_text())
    assert (report["tracks"], list(report["failed"])) == (9, ["timeless"])
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.metrics == {name: report[name] for name in ("tracks", "frames")}, "the rate is a setting"
    capsys.readouterr()
    assert embed() == 0
    assert "nothing to do" in capsys.readouterr().out
    assert embed("output=strict", "max_failed=0") == 1


def test_another_aligner_makes_other_embeddings(corpus):
    assert embed() == 0
    (first,) = (corpus / "out" / "embeddings").iterdir()
    assert embed("aligner=two.pt") == 0
    (second,) = (corpus / "out" / "embeddings").iterdir()
    assert first.name != second.name


def test_moments_are_looked_for_among_embeddings(corpus):
    assert embed() == 0
    assert search("aligner=one.pt") == 0
    (moment,) = json.loads((corpus / "found" / "report.json").read_text())["moments"]
    assert moment["track_id"] == "t0C1"
    assert moment["time_s"] == pytest.approx(2, abs=0.1)
    (embedded,) = datasets_of("embed").items()
    assert (*embedded[0][:2], embedded[1]["tracks"]) == ("embedding", "raylift", 9)
    assert datasets_of("align")[("searching", "raylift.embeddings", "out")] == {"files": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["aligner=two.pt"], "corpus=out: was embedded by another aligner (SHA-256 "),
        ([], "corpus=out: moments are looked for in it; give moment_s=… and aligner=… too"),
        (["aligner=one.pt", "corpus=tracks"], "a.parquet holds no embeddings; give an output of raylift embed"),
        (["aligner=one.pt", "corpus=nowhere"], "corpus=nowhere: holds no embeddings; write some with"),
        (["aligner=tracks/a.parquet"], "a.parquet: is damaged or no checkpoint"),
    ],
)
def test_embeddings_that_do_not_fit_are_one_line(corpus, capsys, arguments, message):
    assert embed() == 0
    capsys.readouterr()
    assert search(*arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ").replace(f"{corpus}/", "")
