"""`python -m jobs.register` against a real MLflow server, as a user meets it."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import mlflow
import numpy as np
import pytest
from evaluate.lifter_samples import write_lifter
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from register.registry_samples import coco_lifter, isolated, write_scaled
from train.training_samples import person, write

from jobs import cli
from pipelines import models
from pipelines.lifters.checkpoint import load_lifter, save_lifter
from pipelines.register import package
from pipelines.register.gate import is_worse


@pytest.fixture
def corpus(over_http, tmp_path):
    write(tmp_path / "tracks", person("a", 40), person("b", 30, subject="S2"))
    return "tracks"


@pytest.fixture
def name(request):
    """A registered model of the test's own; the server is one for all."""
    return request.node.name.partition("[")[0].replace("_", "-")


def raylift(capfd, *arguments, job="register"):
    """Run a job in this process; returns (exit code, stdout, stderr)."""
    code = cli.run_job(job, [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def aliases(name):
    return mlflow.MlflowClient().get_registered_model(name).aliases


def tags(name, version):
    return mlflow.MlflowClient().get_model_version(name, str(version)).tags


def mpjpe_mm(capfd, model, *more):
    """What jobs.evaluate says of it."""
    arguments = (f"model={model}", "data=tracks", "subjects=[S1]", "output=scores", *more)
    assert raylift(capfd, *arguments, job="evaluate")[0] == 0
    with open("scores/metrics.json", encoding="utf-8") as file:
        report = json.load(file)
    return report["average"]["metrics"]["mpjpe_mm"], report


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
    found = tags(name, 1)
    assert {key: found[f"raylift.{key}"] for key in ("input_layout", "fps", "receptive_field", "trajectory")} == {
        **{"input_layout": "h36m17", "fps": "50", "receptive_field": "9", "trajectory": "true"},
    }
    fetched = models.fetch(f"models:/{name}@candidate")
    assert (fetched.name, fetched.sha256) == (f"models:/{name}/1", found["raylift.sha256"])
    assert load_lifter(fetched.file)[1] == load_lifter(lifter)[1]


def test_the_gate(corpus, name, capfd):
    good, bad = write_scaled("good/best.pt", 1), write_scaled("bad/best.pt", 3)
    gate = ("promote=champion", "data=tracks", "subjects=[S1]")
    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate)
    assert (code, aliases(name)) == (0, {"candidate": "1", "champion": "1"})
    assert "gate     the first one" in out
    assert f"register: scoring models:/{name}/1\n" in err
    code, out, err = raylift(capfd, f"model={good}", f"name={name}", *gate)
    assert (code, aliases(name)) == (0, {"candidate": "2", "champion": "2"})
    assert f"register: scoring models:/{name}/1, the present champion\n" in err
    (better, report), (worse, _) = mpjpe_mm(capfd, f"models:/{name}@champion"), mpjpe_mm(capfd, bad)
    assert report["model"] == f"models:/{name}/2"
    assert f"gate     models:/{name}/2 {better:.2f}, models:/{name}/1 (champion) {worse:.2f}\ngate     no worse" in out
    assert f"gate     mpjpe_mm on tracks (S1), {report['data']['digest']}" in out

    code, out, err = raylift(capfd, "version=1", f"name={name}", *gate)
    assert (code, aliases(name)) == (1, {"candidate": "2", "champion": "2"})
    assert (
        f"gate     models:/{name}/1 {worse:.2f}, models:/{name}/2 (champion) {better:.2f}\ngate     worse: not " in out
    )
    assert tags(name, 1)["raylift.gate.champion"] == "refused"

    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate, "force=true")
    assert (code, aliases(name)) == (0, {"candidate": "1", "champion": "1"})
    assert "gate     promoted all the same: force=true, which is recorded" in out
    found = tags(name, 1)
    assert (found["raylift.gate.champion"], found["raylift.gate.data"]) == ("forced", report["data"]["digest"])
    outcome = json.loads(found["raylift.gate"])
    assert (outcome["value"], outcome["holder_value"]) == pytest.approx((worse, better))
    assert (outcome["holder"], outcome["data"]["subjects"]) == (f"models:/{name}/2", ["S1"])

    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate)
    assert (code, err) == (0, "")
    assert "gate     version 1 is the champion already: nothing to compare" in out


@pytest.mark.parametrize(
    ("metric", "value", "than", "worse"),
    [
        ("mpjpe_mm", 40.1, 40.0, True),
        ("mpjpe_mm", 40.0, 40.0, False),
        ("mpjpe_mm", float("nan"), 40.0, True),
        ("auc_150mm", 40.1, 40.0, False),
        ("auc_150mm", 39.0, 40.0, True),
    ],
)
def test_what_is_worse(metric, value, than, worse):
    assert is_worse(metric, value, than) is worse


def test_a_champion_of_another_layout_takes_force(corpus, name, capfd):
    save_lifter("coco/best.pt", *coco_lifter())
    lifter = write_lifter("lifter/best.pt")
    assert raylift(capfd, "model=coco/best.pt", f"name={name}", "promote=champion", "force=true")[0] == 0
    assert json.loads(tags(name, 1)["raylift.gate"])["note"] == "not compared: no tracks were given"
    gate = (f"model={lifter}", f"name={name}", "promote=champion", "data=tracks")
    code, _, err = raylift(capfd, *gate)
    assert code == 2
    assert err.splitlines()[-1].startswith(
        f"register: the present champion, models:/{name}/1, cannot be scored: layout: the keypoints are h36m17, the "
        "lifter was trained on coco17; "
    )
    assert err.endswith("force=true promotes without comparing\n")
    assert aliases(name) == {"candidate": "2", "champion": "1"}
    assert raylift(capfd, *gate, "force=true")[0] == 0
    assert aliases(name)["champion"] == "2"


def example():
    track = person("a", 30)
    size = {"width": [1000.0], "height": [1000.0], "fps": [50.0]}
    return track, {"keypoints": track.keypoints.astype(float)} | {k: np.array(v) for k, v in size.items()}


def test_the_model_is_loaded_and_served(corpus, name, serve, tmp_path, capfd):
    raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}", "promote=champion", "data=tracks")
    model, (_, given) = mlflow.pyfunc.load_model(f"models:/{name}@champion"), example()
    wanted = model.predict(given)
    assert {key: value.shape for key, value in wanted.items()} == {
        **{"positions": (30, 17, 3), "trajectory": (30, 3), "bone_length_deviation": (30,), "reprojection_px": (30,)},
    }
    with pytest.raises(MlflowException, match=r"Shape of input \(30, 16, 2\) does not match expected shape"):
        model.predict(given | {"keypoints": given["keypoints"][:, 1:]})

    address = serve("models", "serve", "-m", f"models:/{name}@champion", "--env-manager", "local", answers="/ping")
    body = {key: value.tolist() for key, value in given.items()}
    found = json.loads(post(f"{address}/invocations", {"inputs": body}))["predictions"]
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(np.array(found[key]), value, atol=1e-5)
    # What people write by hand: whole numbers.
    assert post(f"{address}/invocations", {"inputs": body | {"width": [1000], "fps": [50]}})
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{address}/invocations", {"inputs": body | {"fps": [0]}})
    assert refused.value.code == 400
    assert "fps=[0.]: must be one number above 0" in refused.value.read().decode()

    folder = download_artifacts(f"models:/{name}@champion", dst_path=str(tmp_path / "copy"))
    loaded_where_nothing_is(folder, given, wanted, tmp_path)


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def loaded_where_nothing_is(folder, given, wanted, tmp_path):
    """In a process that can import neither Ray nor anything of this repository, and is elsewhere."""
    np.savez(tmp_path / "given.npz", **given)
    code = f"""
import mlflow, numpy as np
model = mlflow.pyfunc.load_model({folder!r})
found = model.predict(dict(np.load({str(tmp_path / "given.npz")!r})))
np.savez({str(tmp_path / "found.npz")!r}, **found)
assert not {{"ray", "pipelines", "schemas", "jobs"}} & {{name.partition(".")[0] for name in sys.modules}}
"""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(isolated(code), cwd=elsewhere, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    found = np.load(tmp_path / "found.npz")
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, atol=1e-6)


def test_the_model_says_what_it_needs_and_is(corpus, name, tmp_path, capfd):
    write(tmp_path / "free", person("f", 20, positions=None, positions_layout=None))
    gate = ("promote=champion", "data=free", "metric=bone_length_deviation")
    code, out, _ = raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}", *gate)
    assert (code, "gate     bone_length_deviation on free, " in out) == (0, True)
    info = get_model_info(f"models:/{name}/1")
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{name}/1")
    with open(needed, encoding="utf-8") as file:
        lines = file.read().split()
    assert lines == package.requirements()
    assert all("==" in line and "+" not in line for line in lines)
    assert info.signature is not None
    assert info.metadata is not None
    assert info.signature.inputs.input_names() == ["keypoints", "width", "height", "fps"]
    assert info.metadata["raylift"]["receptive_field"] == 9
    given = mlflow.pyfunc.load_model(f"models:/{name}/1").input_example
    assert isinstance(given, dict)
    assert given["keypoints"].shape[1:] == (17, 2)


WRONG = [
    (["model=lifter/best.pt"], "name: is required; give name=…"),
    (["name=x"], "model: give one of model, run and version, found none"),
    (["name=x", "model=lifter/best.pt", "run=1"], "model: give one of model, run and version, found model and run"),
    (["name=a/b", "model=lifter/best.pt"], "name=a/b: string should match pattern"),
    (["name=x", "version=1"], "version: is registered already; give promote=champion to promote it"),
    (["name=x", "model=lifter/best.pt", "alias=champion"], "alias=champion: only promote=champion makes a champion"),
    (["name=x", "model=lifter/best.pt", "alias=v1"], "alias=v1: an alias is letters, digits, - and _, not latest and"),
    (["name=x", "model=lifter/best.pt", "promote=champion"], "data: is required with promote=champion; give the tra"),
    (["name=x", "model=lifter/best.pt", "force=true"], "force: says how to promote; give promote=champion, or leave"),
    (["name=x", "model=none.pt"], "none.pt: cannot be read: No such file or directory; give the path of a lifter"),
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
        "subjects: tracks has no track of subject 'S9'; there are: S1, S2",
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
        f"register: run={other}: is a run of label, which makes no lifter; give one of jobs.train\n",
    )
    model, card = load_lifter(write_lifter("lifter/best.pt"))
    save_lifter("copy.pt", model, card.model_copy(update={"lineage": {"run_id": running}}))
    code, _, err = raylift(capfd, "name=x", "model=copy.pt")
    assert (code, "copy.pt: its training" in err) == (2, True)


def test_a_server_that_is_not_there_ends_the_job_at_once(corpus, monkeypatch, capfd):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    code, _, err = raylift(capfd, f"model={write_lifter('lifter/best.pt')}", "name=x")
    assert code == 1
    assert err.startswith("register: MLFLOW_TRACKING_URI=http://127.0.0.1:9: the tracking server cannot be used: ")
    assert len(err.splitlines()) == 1
    code, _, err = raylift(capfd, "model=lifter/best.pt", "data=tracks", job="evaluate")
    assert (code, err.startswith("evaluate: MLFLOW_TRACKING_URI=http://127.0.0.1:9: ")) == (1, True)


def test_evaluate_takes_a_name_and_wants_an_output(corpus, name, capfd):
    raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}")
    code, _, err = raylift(capfd, f"model=models:/{name}@candidate", "data=tracks", job="evaluate")
    assert code == 2
    assert err == f"evaluate: output: is required for a registered model (models:/{name}/1); give output=…\n"
