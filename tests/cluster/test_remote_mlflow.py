"""Jobs on a server as teams have it: PostgreSQL, artifacts through the server, and accounts (MLflow's basic-auth)."""

import re
import secrets
from pathlib import Path

import mlflow
import pytest
from cluster.manifests import CLUSTER
from cluster.postgres_process import installed, running_postgres
from mlflow_store import inputs_of
from register.registry_samples import registration
from train.training_samples import person, write

from jobs.command_line.main import run_job
from pipelines.mlflow_runs import model_uris

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(600)]
SMALL = ("data.validation_subjects=[S2]", "lifter.filter_widths=[3]", "lifter.channels=8", "optimization.batch_size=32")
ONE = (*SMALL, "resources.cpus_per_worker=1")


@pytest.fixture(scope="module")
def server(tmp_path_factory, serve):
    """The address of the server, and the password of its account "admin"."""
    folder = tmp_path_factory.mktemp("remote")
    (driver,) = re.findall(r"'(psycopg\[binary\]==\S+)'", (CLUSTER / "mlflow" / "Dockerfile").read_text())
    packages = (driver, f"psycopg-binary=={driver.partition('==')[2]}", "Flask-WTF==1.3.0", "WTForms==3.3.2")
    beside, password = installed(folder / "packages", *packages), secrets.token_urlsafe(12)
    with running_postgres("mlflow", "accounts") as port, pytest.MonkeyPatch.context() as patch:
        database = f"postgresql://mlflow:none@127.0.0.1:{port}"
        config = {
            "default_permission": "NO_PERMISSIONS",
            "database_uri": f"{database}/accounts",
            "admin_username": "admin",
            "admin_password": password,
            "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        }
        lines = ["[mlflow]", *(f"{name} = {value}" for name, value in config.items())]
        (folder / "accounts.ini").write_text("\n".join(lines))
        patch.setenv("PYTHONPATH", str(beside))
        patch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(folder / "accounts.ini"))
        patch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", secrets.token_urlsafe(12))
        store = ("--backend-store-uri", f"{database}/mlflow", "--artifacts-destination", f"{folder}/artifacts")
        yield serve("server", "--app-name", "basic-auth", *store, "--workers", "1"), password


def know(monkeypatch, server, folder):
    """Work in a folder, as the account that the server knows."""
    address, password = server
    monkeypatch.chdir(folder)
    for name, value in (("URI", address), ("USERNAME", "admin"), ("PASSWORD", password)):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    mlflow.set_tracking_uri(address)


@pytest.fixture
def account(own_tracking_store, server, tmp_path, monkeypatch):
    """A folder of its own, to work in as the account that the server knows."""
    know(monkeypatch, server, tmp_path)
    return tmp_path


def newest(job):
    """The newest run of a job."""
    of_job = {"filter_string": f"tags.`raylift.job` = '{job}'", "order_by": ["attributes.start_time DESC"]}
    found = mlflow.search_runs(search_all_experiments=True, output_format="list", **of_job)
    return next(run for run in found if "raylift.trial" not in run.data.tags)


def read_for(run):
    """What a run has read, by what for."""
    return sorted(each.tags[0].value for each in inputs_of(run.info.run_id))


def artifacts(run, folder=None):
    return {file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, folder)}


@pytest.fixture(scope="module")
def trained(embedded_ray, server, tmp_path_factory):
    """The folder of a lifter and of its tracks, and the run of its training."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "tracks", person("a"), person("b", subject="S2"))
    with pytest.MonkeyPatch.context() as patch:
        know(patch, server, folder)
        assert run_job("train", ["labeled=tracks", "output=lifter", *ONE, "optimization.epochs=2"]) == 0
        return folder, newest("train")


def test_a_labeling_arrives(embedded_ray, account, make_video):
    make_video(account / "films" / "a.mp4")
    assert run_job("label", ["videos=films", "output=labels", "detector=bright_spot:BrightSpot"]) == 0
    labeled = newest("label")
    assert (labeled.info.status, read_for(labeled)) == ("FINISHED", ["labeling"])
    assert {"report.html", "report.json", "recipe.yaml", "environment.json"} <= artifacts(labeled)


def test_a_training_its_scores_and_its_registration_arrive(trained, account, monkeypatch):
    folder, run = trained
    monkeypatch.chdir(folder)
    assert read_for(run) == ["training", "validation"]
    assert {"best.pt", "training.html"} <= artifacts(run)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/mpjpe_mm")
    assert {entry.step for entry in history} == {1, 2}

    assert run_job("evaluate", ["model=lifter/best.pt", "data=tracks", "subjects=[S2]", "output=scores"]) == 0
    evaluated = newest("evaluate")
    assert read_for(evaluated) == ["testing"]
    assert {"actions.json", "tracks.json", "evaluation.html"} <= artifacts(evaluated)
    assert mlflow.load_table("tracks.json", run_ids=[evaluated.info.run_id])["track"].tolist() == ["b"]
    models = mlflow.search_logged_models([run.info.experiment_id], output_format="list")
    scored = [model for model in models if any(metric.key == "test/mpjpe_mm" for metric in model.metrics or ())]
    assert [model.source_run_id for model in scored] == [run.info.run_id]

    gate = ("promote=champion", "data=tracks", "subjects=[S2]")
    assert run_job("register", [f"run={run.info.run_id}", "name=remote", *gate]) == 0
    version = mlflow.MlflowClient().get_model_version_by_alias("remote", "champion")
    assert version.source == f"models:/{scored[0].model_id}"
    assert registration(version.run_id)["lineage"]["notes"] == []
    # The lifter comes back through the server, which alone can read the folder of the artifacts.
    fetched = model_uris.fetch("models:/remote@champion", "lifter")
    assert Path(fetched.file).read_bytes() == Path("lifter/best.pt").read_bytes()
    assert run_job("lineage", ["models:/remote@champion", f"draw={account}/lineage.svg"]) == 0
    assert "train lifter" in (account / "lineage.svg").read_text()


def test_a_search_arrives(trained, account):
    space = "search_space.optimization.learning_rate={choice: [1e-2, 1e-3]}"
    search = [f"labeled={trained[0]}/tracks", "output=search", *SMALL, "optimization.epochs=1", "trials=2", space]
    assert run_job("tune", search) == 0
    found = newest("tune")
    trials = mlflow.search_runs(
        [found.info.experiment_id], f"tags.mlflow.parentRunId = '{found.info.run_id}'", output_format="list"
    )
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 2
    assert read_for(found) == ["training", "validation"]
    assert artifacts(found, "figures") == {"figures/history.png"}, "two trials tell no importance"
    assert {"search.html", "trials.json", "best.pt"} <= artifacts(found)


def test_who_is_not_known_is_told_in_a_line(account, monkeypatch, capsys):
    write(account / "tracks", person("a"))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert run_job("curate", ["tracks=tracks", "output=chosen"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the tracking server cannot be used: it wants to know who asks; set MLFLOW_TRACKING_USERNAME and" in said
