"""What tests rely on in the MLflow databases that are copied for them."""

import mlflow
from mlflow_store import new_store


def test_a_copied_database_keeps_its_artifacts_where_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "store"
    folder.mkdir()
    mlflow.set_tracking_uri(new_store(folder))
    assert mlflow.search_runs(search_all_experiments=True, output_format="list") == []
    run = mlflow.MlflowClient().create_run("0")
    assert str(tmp_path) in str(run.info.artifact_uri)
    assert new_store(folder) == mlflow.get_tracking_uri(), "a database that is there is kept"
    assert len(mlflow.search_runs(search_all_experiments=True, output_format="list")) == 1
