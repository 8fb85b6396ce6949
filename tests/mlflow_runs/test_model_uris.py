"""Models by name: what is there is fetched once, what is not is told with what there is."""

import hashlib
import socket
import time
from pathlib import Path

import mlflow
import pytest
from cluster.store_proxy import Proxy
from evaluate.lifter_samples import write_lifter

from pipelines.lifters.checkpoint import load_lifter
from pipelines.mlflow_runs import model_uris, tracking_server
from pipelines.mlflow_runs.model_names import SHA256_TAG
from schemas.errors import RunFailed, UserError


@pytest.fixture
def lifter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    return write_lifter("lifter/best.pt")


@pytest.fixture
def unreached(monkeypatch):
    """What was reached before is asked again."""
    monkeypatch.setattr(tracking_server, "_reached", set())


def sha256(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def test_the_address_of_a_file_is_returned_unchanged(lifter):
    assert model_uris.fetch(lifter) == model_uris.FetchedModel(lifter, lifter, sha256(lifter))
    with pytest.raises(UserError, match=r"model=none.pt: cannot be read: No such file or directory; give the"):
        model_uris.fetch("none.pt")


def test_a_run_s_artifact_is_fetched_into_the_cache(lifter, tmp_path):
    # A test before may have left one that this store does not have.
    mlflow.set_experiment("raylift")
    with mlflow.start_run() as run:
        mlflow.log_artifact(lifter)
    fetched = model_uris.fetch(f"runs:/{run.info.run_id}/best.pt")
    assert (fetched.name, fetched.sha256) == (f"runs:/{run.info.run_id}/best.pt", sha256(lifter))
    assert fetched.file == str(tmp_path / "cache" / "models" / f"{fetched.sha256}.pt")
    assert load_lifter(fetched.file)[1].window.inputs == 9
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == [f"{fetched.sha256}.pt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:/lifer@champion", "models:/lifer: there is no model of this name; did you mean lifter? registered: "),
        ("models:/lifter@champio", "there is no such alias; aliases: champion (version 1); newest versions: 1"),
        ("models:/lifter/7", "models:/lifter/7: there is no such version; aliases: champion (version 1); newest"),
        ("models:/lifter/1", "models:/lifter/1: was not registered by raylift register; give one that was"),
        ("models:/lifter", "is not models:/name@alias, models:/name/version or runs:/id/path; give one of them"),
        ("models:/m-12ab/x", "is not models:/name@alias"),
        ("runs:/none/best.pt", "model=runs:/none/best.pt: cannot be read: Run with id=none not found; check that it"),
    ],
)
def test_the_error_for_a_wrong_name_lists_the_existing_ones(lifter, name, message):
    client = mlflow.MlflowClient()
    client.create_registered_model("lifter")
    client.create_registered_model("detector")
    client.create_model_version("lifter", "somewhere")
    client.set_registered_model_alias("lifter", "champion", "1")
    with pytest.raises(UserError) as refused:
        model_uris.fetch(name)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_where_nothing_is_registered_says_where_it_was_looked_for(lifter, monkeypatch):
    with pytest.raises(UserError) as refused:
        model_uris.fetch("models:/lifter@champion")
    file = Path(mlflow.get_registry_uri().removeprefix("sqlite:///"))
    place = f"none is registered in {file.name} of {file.parent}; give the one that holds it as MLFLOW_TRACKING_URI"
    assert f"models:/lifter: there is no model of this name; {place}" in str(refused.value)


def test_a_server_that_refuses_is_reported_at_once(unreached, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://someone:secret@127.0.0.1:{closed.getsockname()[1]}"
    mlflow.set_tracking_uri(address)
    started = time.monotonic()
    with pytest.raises(RunFailed) as failed:
        model_uris.fetch("models:/lifter@champion")
    shown_address = address.replace("someone:secret", "…")
    assert str(failed.value).startswith(
        f"MLFLOW_TRACKING_URI={shown_address}: the tracking server cannot be used: Failed to "
    )
    assert time.monotonic() - started < 60  # MLflow alone: minutes


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "it wants to know who asks; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_"),
        (403, "this account may not do that; ask for the right to edit the experiment, or name another one"),
    ],
)
def test_a_server_with_accounts_says_what_is_missing(unreached, status, line):
    proxy = Proxy(
        "http://127.0.0.1:9", lambda number, method, path: "refused", {"refused": (status, b"no")}, "text/plain"
    )
    mlflow.set_tracking_uri(proxy.address)
    with pytest.raises(RunFailed) as failed:
        tracking_server.connect()
    assert str(failed.value) == f"MLFLOW_TRACKING_URI={proxy.address}: the tracking server cannot be used: {line}" + (
        "TRACKING_TOKEN, to what it knows" if status == 401 else ""
    )
    proxy.close()


def test_a_server_that_never_answers_is_not_waited_for(unreached, monkeypatch):
    monkeypatch.setattr(
        tracking_server, "_IMPATIENT", {**tracking_server._IMPATIENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mlflow.set_tracking_uri(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(RunFailed, match=r"the tracking server cannot be used: Read timed out"):
            tracking_server.connect()


def test_a_database_that_refuses_is_reported_at_once(unreached):
    mlflow.set_tracking_uri("postgresql://me:secret@127.0.0.1:9/mlflow")
    with pytest.raises(RunFailed, match=r"…@127.0.0.1:9/mlflow: the tracking server cannot be used: .*refused"):
        tracking_server.connect()


def test_what_the_user_has_set_stays(unreached, monkeypatch):
    import os

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    tracking_server.connect(registry=True)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.parametrize(
    ("kind", "tag", "message"),
    [
        ("huge", "0" * 64, r"lifter.pt: cannot be read: 10,000,000,000,000 bytes, the memory of this machine takes"),
        ("link", "0" * 64, "cannot be used|cannot be read|is damaged"),
        ("lifter", "../../elsewhere", "was not registered by raylift register"),
        ("lifter", "0" * 64, "is damaged: its hash is"),
        ("service", "0" * 64, "lifter.pt: cannot be read: "),
    ],
)
def test_a_version_whose_files_are_of_somebody_else_is_one_line(lifter, tmp_path, kind, tag, message):
    tracking_server.connect(registry=True)
    client, folder = mlflow.MlflowClient(), tmp_path / "version" / "artifacts"
    folder.mkdir(parents=True)
    if kind == "huge":
        with (folder / "lifter.pt").open("wb") as file:
            file.truncate(10**13)
    elif kind == "link":
        (folder / "lifter.pt").symlink_to("/dev/zero")
    else:
        (folder / "lifter.pt").write_bytes(Path(lifter).read_bytes())
    source = "http://127.0.0.1:9/latest" if kind == "service" else folder.parent.as_uri()
    client.create_registered_model(f"of_others_{kind}_{tag[:1]}")
    version = client.create_model_version(f"of_others_{kind}_{tag[:1]}", source, tags={SHA256_TAG: tag})
    with pytest.raises((UserError, RunFailed), match=message) as error:
        model_uris.fetch(f"models:/{version.name}/{version.version}")
    assert "\n" not in str(error.value)
