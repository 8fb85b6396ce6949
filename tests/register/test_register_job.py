"""`raylift register` against a real MLflow server, as a user meets it."""

import json

import mlflow
import pytest
from evaluate.lifter_samples import write_lifter
from register.registry_samples import coco_lifter, raylift, tags
from train.training_samples import person, write

from pipelines.lifters.checkpoint import load_lifter, save_lifter
from pipelines.mlflow_runs import model_uris


def test_a_lifter_becomes_a_version_once(corpus, name, capfd):
    lifter = write_lifter("lifter/best.pt")
    code, out, err = raylift(capfd, f"model={lifter}", f"name={name}")
    assert (code, err) == (0, f"register: exporting and uploading {lifter}\n")
    assert out.splitlines()[:4] == [
        f"version  models:/{name}/1, new",
        "alias    candidate",
        "lifter   temporal_conv of 9 frames at 50 frames/s, h36m17 → h36m17, with a trajectory",
        "trained  not by raylift",
    ]
    assert out.splitlines()[-2:] == [
        f"use      raylift lift model=models:/{name}@candidate tracks=… output=…",
        f"         mlflow models serve -m models:/{name}@candidate --env-manager local",
    ]
    code, out, err = raylift(capfd, f"model={lifter}", f"name={name}")
    assert (code, err, out.splitlines()[0]) == (0, "", f"version  models:/{name}/1, registered before")
    assert [v.version for v in mlflow.MlflowClient().search_model_versions(f"name='{name}'")] in ([1], ["1"])
    version_tags = tags(name, 1)
    assert {key: version_tags[f"raylift.{key}"] for key in ("input_layout", "fps", "frames_read", "trajectory")} == {
        **{"input_layout": "h36m17", "fps": "50", "frames_read": "9", "trajectory": "true"},
    }
    source = mlflow.MlflowClient().get_model_version(name, "1").source or ""
    registered = json.loads(mlflow.get_logged_model(source.removeprefix("models:/")).tags["mlflow.modelVersions"])
    # Other tests register the same file by other names.
    assert [str(each["version"]) for each in registered if each["name"] == name] == ["1"], "the table of models"
    fetched = model_uris.fetch(f"models:/{name}@candidate")
    assert (fetched.name, fetched.sha256) == (f"models:/{name}/1", version_tags["raylift.sha256"])
    assert load_lifter(fetched.file)[1] == load_lifter(lifter)[1]


WRONG = [
    (["model=lifter/best.pt"], "name: is required; give name=…"),
    (["name=x"], "model: give one of model, run and version, found none"),
    (["name=x", "model=lifter/best.pt", "run=1"], "model: give one of model, run and version, found model and run"),
    (["name=a/b", "model=lifter/best.pt"], "name=a/b: a model's name is 1 to 200 letters, digits"),
    (["name=x", "version=1"], "version: is registered already; give promote=champion to promote it"),
    (["name=x", "model=lifter/best.pt", "alias=champion"], "alias=champion: only promote=champion makes a champion"),
    (["name=x", "model=lifter/best.pt", "alias=v1"], "alias=v1: an alias is letters, digits, - and _, not latest and"),
    (["name=x", "model=lifter/best.pt", "promote=champion"], "data: is required with promote=champion; give the tra"),
    (["name=x", "model=lifter/best.pt", "force=true"], "force: says how to promote; give promote=champion, or leave"),
    (["name=x", "model=none.pt"], "model=none.pt: cannot be read: No such file or directory; give the"),
    (["name=x", "model=half.pt"], "half.pt: is damaged or no checkpoint; copy it again"),
    (["name=x", "model=unfinished/best.pt"], "unfinished/best.pt: its training is not finished: unfinished holds no "),
    (["name=x", "run=abc"], "run=abc: there is no such run in http://127.0.0.1:"),
    (["name=nobody", "version=1", "promote=champion", "data=tracks"], "models:/nobody: there is no model of this name"),
    (
        ["name=x", "model=coco.pt", "promote=champion", "data=tracks"],
        "layout: the keypoints are h36m17, the lifter was trained on coco17; label with coco17, or take a lifter for",
    ),
    (
        ["name=x", "model=lifter/best.pt", "promote=champion", "data=free"],
        "metric=mpjpe_mm: needs labels, none of 1 tracks has positions; give labeled tracks, or metric=bone_length_dev",
    ),
    (
        ["name=x", "model=lifter/best.pt", "promote=champion", "data=tracks", "subjects=[S9]"],
        "subjects: data=tracks has no track of subject S9; there are: S1, S2",
    ),
    (
        ["name=x", "model=lifter/best.pt", "promote=champion", "data=tracks", "metric=mpjpe"],
        "metric=mpjpe: input should be 'mpjpe_mm', 'p_mpjpe_mm'",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_a_wrong_command_is_one_clear_line(corpus, arguments, message, tmp_path, capfd):
    write_lifter("lifter/best.pt")
    save_lifter("coco.pt", *coco_lifter())
    (tmp_path / "half.pt").write_bytes((tmp_path / "lifter" / "best.pt").read_bytes()[:5000])
    model, card = load_lifter("lifter/best.pt")
    save_lifter("unfinished/best.pt", model, card.model_copy(update={"lineage": {"run_id": "abc"}}))
    (tmp_path / "unfinished" / "run.json").write_text(json.dumps({"run_id": "abc", "settings": {}}))
    write(tmp_path / "free", person("f", 20, positions=None, positions_layout=None))
    code, _, err = raylift(capfd, *arguments)
    assert code == 2
    assert err.startswith(f"register: {message}")
    assert len(err.splitlines()) == 1
    assert not mlflow.MlflowClient().search_registered_models("name='x'")


def test_a_run_that_is_no_finished_training_is_refused(corpus, capfd):
    client = mlflow.MlflowClient()
    running = client.create_run("0", tags={"raylift.job": "train"}).info.run_id
    other = client.create_run("0", tags={"raylift.job": "label"}).info.run_id
    code, _, err = raylift(capfd, "name=x", f"run={running}")
    assert (code, err.split("; ")[0]) == (
        2,
        f"register: run={running}: its training (run {running}) is not finished but running",
    )
    code, _, err = raylift(capfd, "name=x", f"run={other}")
    assert (code, err) == (
        2,
        f"register: run={other}: is a run of label, which makes no lifter; give one of raylift train\n",
    )
    model, card = load_lifter(write_lifter("lifter/best.pt"))
    save_lifter("copy.pt", model, card.model_copy(update={"lineage": {"run_id": running}}))
    code, _, err = raylift(capfd, "name=x", "model=copy.pt")
    assert (code, "copy.pt: its training" in err) == (2, True)


def test_a_server_that_is_not_there_ends_a_registration_at_once_and_no_evaluation(corpus, capfd, caplog):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    code, _, err = raylift(capfd, f"model={write_lifter('lifter/best.pt')}", "name=x")
    assert code == 1
    assert err.startswith("register: MLFLOW_TRACKING_URI=http://127.0.0.1:9: the tracking server cannot be used: ")
    assert len(err.splitlines()) == 1
    code, _, _ = raylift(capfd, "model=lifter/best.pt", "data=tracks", job="evaluate")
    assert code == 0
    away, lost = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "MLFLOW_TRACKING_URI=http://127.0.0.1:9: the tracking server cannot be used: " in away
    assert "the job goes on without it, and sends what it has recorded once it is there" in away
    assert "the MLflow run lacks the last" in lost


def test_evaluate_takes_a_name_and_wants_an_output(corpus, name, capfd):
    raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}")
    code, _, err = raylift(capfd, f"model=models:/{name}@candidate", "data=tracks", job="evaluate")
    assert code == 2
    assert err == f"evaluate: output: is required for a registered model (models:/{name}/1); give output=…\n"


@pytest.mark.parametrize(
    ("labeled", "reason"),
    [
        ("gone/tracks", "tracks that cannot be read any more: gone/tracks"),
        ("tracks", "the tracks have changed since the training read them"),
        (None, "the training's settings cannot be found: only the digest of its tracks is known"),
    ],
)
def test_a_lifter_of_tracks_that_nobody_can_find_is_promoted_only_if_told(corpus, name, labeled, reason, capfd):
    client, name = mlflow.MlflowClient(), f"{name}-{labeled}".replace("/", "-")
    training = client.create_run("0", tags={"raylift.job": "train"}).info.run_id
    client.set_terminated(training)
    if labeled is None:
        client.delete_run(training)
    else:
        client.log_param(training, "labeled", labeled)
    model, card = load_lifter(write_lifter("trained.pt"))
    lineage = {"run_id": training, "data": "0" * 32}
    save_lifter("copy.pt", model, card.model_copy(update={"lineage": lineage}))
    gate = ("model=copy.pt", f"name={name}", "promote=champion", "data=tracks")
    code, _, err = raylift(capfd, *gate)
    assert (code, err) == (
        2,
        f"register: copy.pt: nobody can tell what it was trained on: {reason}; bring them back, or give "
        "unknown_data=true to promote it all the same\n",
    )
    assert not client.search_registered_models(f"name='{name}'")
    code, out, _ = raylift(capfd, *gate, "unknown_data=true")
    assert (code, f"note     {reason}" in out) == (0, True)
    assert client.get_registered_model(name).aliases["champion"] == "1"
    assert f"Note: {reason}." in (client.get_model_version(name, "1").description or "")
