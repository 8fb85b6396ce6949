"""From motion capture to a registered version: a real training is found by its run, and so is what it read."""

import json

import mlflow
import numpy as np
import pytest
from mlflow_store import inputs_of
from register.registry_samples import registration

from jobs.command_line.main import run_job

pytestmark = pytest.mark.ray


def test_a_training_is_registered_by_its_run_with_its_ancestors(embedded_ray, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    motion = np.random.default_rng(0).uniform(0.2, 1.5, (40, 17, 3)).astype(np.float32)
    np.savez("mocap.npz", positions_3d={"S1": {"walk": motion}, "S2": {"run": motion[:20]}})  # pyright: ignore[reportArgumentType]
    assert (
        run_job("import_poses", ["source=mocap17", "source.positions=mocap.npz", "source.check=false", "output=mocap"])
        == 0
    )
    assert run_job("train", ["labeled=mocap/tracks", "output=lifter", *SMALL]) == 0
    trained, imported = mlflow.search_runs(search_all_experiments=True, output_format="list")
    capfd.readouterr()

    # The output is gone: MLflow has what is needed.
    (tmp_path / "lifter").rename("elsewhere")
    assert run_job("register", [f"run={trained.info.run_id}", "name=lifter"]) == 0
    out = capfd.readouterr().out
    version = mlflow.MlflowClient().get_model_version_by_alias("lifter", "candidate")
    report = json.loads((tmp_path / "elsewhere" / "report.json").read_text())
    lineage = registration(version.run_id)["lineage"]
    trained_on = {"run_id": trained.info.run_id, "data": report["data"], "subjects": '["S1"]'}
    assert lineage["training"] == trained_on
    (tracks,) = lineage["tracks"]
    assert {name: tracks[name] for name in ("role", "uri", "digest", "job", "run_id")} == {
        **{
            "role": "labeled",
            "uri": str(tmp_path / "mocap" / "tracks"),
            "digest": report["data"],
            "job": "import_poses",
        },
        "run_id": imported.info.run_id,
    }
    assert lineage["notes"] == []
    (model,) = mlflow.search_logged_models([trained.info.experiment_id], output_format="list")
    assert (f"models:/{model.model_id}", model.source_run_id) == (version.source, trained.info.run_id), (
        "the training's own model"
    )
    (scored,) = {(m.key, m.dataset_name) for m in model.metrics or () if m.key == "validation/mpjpe_mm"}
    assert scored[1] == "mocap S2"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "lifter", "version": "1"}], "the models' table"
    assert "isExternal" not in str(model.tags), "it can be loaded now"
    read = {each.tags[0].value: each.dataset for each in inputs_of(trained.info.run_id)}
    for context in ("training", "validation"):
        row = f"| read for {context} | {read[context].name}, dataset digest {read[context].digest} |"
        assert row in str(version.description), "what MLflow's search finds the training by"
    assert version.tags["raylift.tracks_runs"] == imported.info.run_id
    held_out = report["best_validation_mpjpe_mm"]
    assert float(version.tags["raylift.validation_mpjpe_mm"]) == pytest.approx(held_out, abs=1e-3)
    assert f"trained  run {trained.info.run_id}, {held_out:.1f} mm held out" in out
    assert f"written by import_poses, run {imported.info.run_id}" in out

    assert run_job("register", ["model=elsewhere/best.pt", "name=lifter"]) == 0
    assert "models:/lifter/1, registered before" in capfd.readouterr().out

    (tmp_path / "mocap").rename("moved")
    gate = (f"run={trained.info.run_id}", "name=lifter", "promote=champion", "data=moved/tracks", "subjects=[S2]")
    assert run_job("register", gate) == 2
    err = capfd.readouterr().err
    assert "nobody can tell what it was trained on: tracks that cannot be read any more: " in err
    assert "or give unknown_data=true to promote it all the same" in err
    assert "champion" not in mlflow.MlflowClient().get_registered_model("lifter").aliases
    assert run_job("register", [*gate, "unknown_data=true"]) == 0
    (tmp_path / "elsewhere" / "report.json").unlink()
    assert run_job("register", ["model=elsewhere/best.pt", "name=lifter"]) == 2
    assert "its training is not finished: elsewhere holds no report.json" in capfd.readouterr().err


SMALL = (
    *("data.validation_subjects=[S2]", "lifter.filter_widths=[3,3]", "lifter.channels=16", "optimization.epochs=1"),
    *("optimization.batch_size=64", "resources.cpus_per_worker=1"),
)
