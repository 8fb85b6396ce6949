"""Jobs on a server as teams have it: PostgreSQL, artifacts through the server, and accounts (MLflow's basic-auth)."""

import json
import re
import secrets
from pathlib import Path

import mlflow
import pytest
import requests
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
    job_runs = mlflow.search_runs(search_all_experiments=True, output_format="list", **of_job)
    return next(run for run in job_runs if "mlflow.parentRunId" not in run.data.tags)


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


@pytest.fixture(scope="module")
def scored(trained, server):
    """The runs of the training and of an evaluation of its lifter, and the version that it became."""
    folder, run = trained
    with pytest.MonkeyPatch.context() as patch:
        know(patch, server, folder)
        assert run_job("evaluate", ["model=lifter/best.pt", "data=tracks", "subjects=[S2]", "output=scores"]) == 0
        gate = ("promote.require=[test.mpjpe_mm<=100000]", "data=tracks", "subjects=[S2]")
        assert run_job("register", [f"run={run.info.run_id}", "name=remote", *gate]) == 0
        return run, newest("evaluate"), mlflow.MlflowClient().get_model_version_by_alias("remote", "champion")


class Pages:
    """What MLflow's pages ask its server for, as they do: by addresses that only they use."""

    def __init__(self, server):
        self._address, self._account = server[0], ("admin", server[1])

    def find(self, what, /, **asked):
        """The answer to a question that is a document."""
        url = f"{self._address}/ajax-api/2.0/mlflow/{what}"
        answer = requests.post(url, json=asked, auth=self._account, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def get(self, what, within="ajax-api/2.0/mlflow/", /, **asked):
        """The answer to a question that is an address."""
        answer = requests.get(f"{self._address}/{within}{what}", asked, auth=self._account, timeout=60)
        answer.raise_for_status()
        return answer


def test_mlflows_pages_show_a_training_its_scores_and_its_version(scored, account, server):
    training, evaluation, version = scored
    pages, place = Pages(server), training.info.experiment_id

    # The list of experiments, and the table of runs with its column of datasets.
    experiment = pages.get("experiments/get", experiment_id=place).json()["experiment"]
    tags = {tag["key"]: tag["value"] for tag in experiment["tags"]}
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "raylift" in tags["mlflow.note.content"]
    listed = {each["info"]["run_id"]: each for each in pages.find("runs/search", experiment_ids=[place])["runs"]}
    rows = [listed[run.info.run_id] for run in (training, evaluation)]
    assert [row["info"]["run_name"] for row in rows] == ["train lifter", "evaluate scores"]
    charts = {each["key"] for each in rows[0]["data"]["metrics"]}
    grouped = {"train/pose_mm", "train/loss_total", "validation/mpjpe_mm", "validation/best_mpjpe_mm"}
    assert grouped <= charts, "names that group, with units"
    read = [{each["tags"][0]["value"]: each["dataset"] for each in row["inputs"]["dataset_inputs"]} for row in rows]
    assert [sorted(each) for each in read] == [["training", "validation"], ["testing"]]
    test = read[1]["testing"]
    assert test["digest"] == read[0]["validation"]["digest"], "the same tracks"
    assert test["name"].endswith(" S2")
    assert json.loads(test["profile"])["frames"] == 60
    known = pages.find("experiments/search-datasets", experiment_ids=[place])["dataset_summaries"]
    assert {"testing", "validation"} <= {each["context"] for each in known if each["digest"] == test["digest"]}
    by_digest = pages.find("runs/search", experiment_ids=[place], filter=f"dataset.digest = '{test['digest']}'")
    assert {run.info.run_id for run in (training, evaluation)} <= {each["info"]["run_id"] for each in by_digest["runs"]}
    assert {"test/mpjpe_mm", "test_joints/left_knee_mm"} <= {each["key"] for each in rows[1]["data"]["metrics"]}

    # The table of models: a row for each lifter, its scores over each dataset.
    models = pages.find("logged-models/search", experiment_ids=[place])["models"]
    made = {each["info"]["name"]: each for each in models if each["info"].get("source_run_id") == training.info.run_id}
    assert {"lifter-best"} <= made.keys() <= {"lifter-best", "lifter-last"}
    best = made["lifter-best"]
    over = {(each["key"], each.get("dataset_digest")) for each in best["data"]["metrics"]}
    assert {(name, test["digest"]) for name in ("validation/mpjpe_mm", "test/mpjpe_mm")} <= over
    note = {tag["key"]: tag["value"] for tag in best["info"]["tags"]}["mlflow.note.content"]
    assert read[0]["training"]["digest"] in note

    # The page of the version.
    shown = pages.get("model-versions/get", name="remote", version=version.version).json()["model_version"]
    assert shown["source"] == f"models:/{best['info']['model_id']}", "a link to the training's own model"
    registered = {tag["key"]: tag["value"] for tag in best["info"]["tags"]}["mlflow.modelVersions"]
    assert [(each["name"], str(each["version"])) for each in json.loads(registered)] == [("remote", version.version)]
    for text in ("| champion | promoted |", f"dataset digest {test['digest']} |", "test.mpjpe_mm<=100000: "):
        assert text in shown["description"]
    verdict = {tag["key"]: tag["value"] for tag in shown["tags"]}
    assert (verdict["raylift.gate.champion"], verdict["raylift.run_id"]) == ("passed", training.info.run_id)
    (picture,) = re.findall(r"\(get-artifact\?path=(\S+?)&run_uuid=(\w+)\)", shown["description"])
    pictures = [picture]

    # The artifacts of the runs: pictures that the page shows, and tables that it compares.
    for run, names in ((training, ["held_out.png", "losses.png"]), (evaluation, ["actions.png", "joints.png"])):
        files = pages.get("artifacts/list", run_id=run.info.run_id, path="figures").json()["files"]
        assert [file["path"] for file in files] == [f"figures/{name}" for name in names]
        pictures += [(file["path"], run.info.run_id) for file in files]
    for path, run_id in pictures:
        answer = pages.get("get-artifact", "", path=path, run_uuid=run_id)
        assert (answer.headers["Content-Type"], answer.content[:4]) == ("image/png", b"\x89PNG")
    tables = {tag["key"]: tag["value"] for tag in rows[1]["data"]["tags"]}["mlflow.loggedArtifacts"]
    assert {"path": "tracks.json", "type": "table"} in json.loads(tables)


def test_a_labeling_arrives(embedded_ray, account, make_video):
    make_video(account / "films" / "a.mp4")
    assert run_job("label", ["videos=films", "output=labels", "detector=bright_spot:BrightSpot"]) == 0
    labeled = newest("label")
    assert (labeled.info.status, read_for(labeled)) == ("FINISHED", ["labeling"])
    assert {"report.html", "report.json", "recipe.yaml", "environment.json"} <= artifacts(labeled)


def test_a_training_its_scores_and_its_registration_arrive(trained, scored, account, monkeypatch):
    folder, (run, evaluated, version) = trained[0], scored
    monkeypatch.chdir(folder)
    assert read_for(run) == ["training", "validation"]
    assert {"best.pt", "training.html"} <= artifacts(run)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/mpjpe_mm")
    assert {entry.step for entry in history} == {1, 2}

    assert read_for(evaluated) == ["testing"]
    assert {"actions.json", "tracks.json", "evaluation.html"} <= artifacts(evaluated)
    assert mlflow.load_table("tracks.json", run_ids=[evaluated.info.run_id])["track"].tolist() == ["b"]
    assert registration(version.run_id)["lineage"]["notes"] == []
    # The lifter comes back through the server, which alone can read the folder of the artifacts.
    fetched = model_uris.fetch("models:/remote@champion", "lifter")
    assert Path(fetched.file).read_bytes() == Path("lifter/best.pt").read_bytes()


def test_poses_lead_back_to_their_video_and_a_video_to_models_and_poses(trained, scored, account, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    assert run_job("lift", ["model=models:/remote@champion", "tracks=tracks", "output=poses"]) == 0
    inputs = mlflow.get_run(newest("lift").info.run_id).inputs
    assert inputs is not None
    assert [f"models:/{each.model_id}" for each in inputs.model_inputs] == [scored[2].source], "a link to the model"
    assert run_job("lineage", ["models:/remote@champion", f"draw={account}/lineage.svg"]) == 0
    assert "train lifter" in (account / "lineage.svg").read_text()
    capsys.readouterr()

    def lineage(of):
        assert run_job("lineage", [of, "json=true"]) == 0
        document = json.loads(capsys.readouterr().out)
        # Names of versions are followed by their aliases.
        return [
            {(node["kind"], node["name"].partition(" (")[0]) for node in walk(document[way])}
            for way in ("made_from", "made_with")
        ]

    version, tracks = f"models:/remote/{scored[2].version}", ("tracks", f"{trained[0]}/tracks")
    poses = ("poses", f"{trained[0]}/poses")
    of_model = lineage("models:/remote@champion")
    assert {("run", "train lifter"), tracks} <= of_model[0]
    assert {poses, ("scores", "evaluate scores"), ("scores", "evaluate candidate on test")} <= of_model[1]
    assert {("model", version), ("run", "train lifter"), tracks} <= lineage("poses")[0]
    # A takedown; tracks are called by the output that they are in.
    output = ("tracks", str(trained[0]))
    assert {("model", version), poses, ("run", "train lifter"), output} <= lineage("a.mp4")[1]


def walk(nodes):
    for node in nodes:
        yield node
        yield from walk(node["children"])


def test_a_search_arrives(trained, account):
    space = "search_space.optimization.learning_rate={choice: [1e-2, 1e-3]}"
    search = [f"labeled={trained[0]}/tracks", "output=search", *SMALL, "optimization.epochs=1", "trials=2", space]
    assert run_job("tune", search) == 0
    search_run = newest("tune")
    trials = mlflow.search_runs(
        [search_run.info.experiment_id], f"tags.mlflow.parentRunId = '{search_run.info.run_id}'", output_format="list"
    )
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 2
    # Under short names, parallel coordinates are ready.
    assert {trial.data.params["learning_rate"] for trial in trials} == {"0.01", "0.001"}
    models = mlflow.search_logged_models(experiment_ids=[search_run.info.experiment_id], output_format="list")
    (best,) = [model for model in models if model.source_run_id in {trial.info.run_id for trial in trials}]
    note = search_run.data.tags["mlflow.note.content"]
    assert f"models/{best.model_id})" in note, "a link to the model of the best"
    assert f"runs/{best.source_run_id})" in note, "and to its trial"
    assert read_for(search_run) == ["training", "validation"]
    assert artifacts(search_run, "figures") == {"figures/history.png"}, "two trials tell no importance"
    assert {"search.html", "trials.json", "best.pt"} <= artifacts(search_run)


def test_who_is_not_known_is_told_in_a_line(account, monkeypatch, capsys):
    write(account / "tracks", person("a"))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert run_job("curate", ["tracks=tracks", "output=chosen"]) == 1
    message = " ".join(capsys.readouterr().err.split())
    assert "the tracking server cannot be used: it wants to know who asks; set MLFLOW_TRACKING_USERNAME and" in message
