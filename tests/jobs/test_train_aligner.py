"""The train_aligner job: an aligner under Ray Train, which align then compares frames by."""

import json

import mlflow
import pytest
from aligners.two_views import tracks
from register.registry_samples import registration
from tracks.track_samples import write_tracks

from jobs.command_line.main import run_job

SMALL = ["network.channels=16", "network.dimensions=8", "data.pairs=take", "data.validation_subjects=[S2]"]
SMALL += ["optimization.epochs=2", "optimization.steps=3", "optimization.batch_pairs=2"]


@pytest.mark.ray
def test_an_aligner_is_trained_once_and_used_by_align(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path / "tracks.parquet", tracks())
    assert run_job("train_aligner", ["tracks=tracks.parquet", "output=out", *SMALL]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["epochs"], report["actions"]) == (2, 3)
    assert report["recordings"] == {"training": 6, "validation": 2, "left_out": 0}
    capsys.readouterr()
    assert run_job("train_aligner", ["tracks=tracks.parquet", "output=out", *SMALL]) == 0
    assert "nothing to do" in capsys.readouterr().out
    compared = ["tracks=tracks.parquet", "aligner=out/best.pt", "reference=t0C0", "others=[t0C1]", "output=aligned"]
    assert run_job("align", compared) == 0
    (entry,) = json.loads((tmp_path / "aligned" / "report.json").read_text())["recordings"]
    assert entry["distance"] < 0.05
    assert run_job("register", ["model=out/best.pt", "name=squats"]) == 0
    version = mlflow.MlflowClient().get_model_version_by_alias("squats", "candidate")
    assert registration(version.run_id)["lineage"]["notes"] == []
    assert f"Kendall's tau {report['best_kendalls_tau']:.3f} on people held out" in str(version.description)
    # The version is the very model that the training has noted, with its score.
    (noted,) = mlflow.search_logged_models(output_format="list")
    assert (noted.model_type, version.source) == ("aligner", f"models:/{noted.model_id}")
    assert [metric.key for metric in noted.metrics or ()] == ["validation/kendalls_tau"]


def test_other_settings_for_an_output_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path / "tracks.parquet", tracks()[:1])
    assert run_job("train_aligner", ["tracks=tracks.parquet", "output=out"]) == 2
    assert "no two of them, 1 s long or more, have the same action" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
