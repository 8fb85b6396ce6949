"""A registered version is used: loaded, served, and asked what it needs."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import mlflow
import numpy as np
import pytest
from cluster.store_proxy import Proxy
from evaluate.lifter_samples import write_lifter
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from register.registry_samples import isolated, raylift, tags, write_scaled
from train.training_samples import person, write

from pipelines.register import package
from pipelines.serve import served_model
from pipelines.serve.served_model import Follower


def example():
    track = person("a", 30)
    size = {"width": [1000.0], "height": [1000.0], "fps": [50.0]}
    return track, {"keypoints": track.keypoints.astype(float)} | {k: np.array(v) for k, v in size.items()}


@pytest.mark.long
def test_the_model_is_loaded_and_served(corpus, name, serve, tmp_path, capfd):
    raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}", "promote=champion", "data=tracks")
    model, (_, given) = mlflow.pyfunc.load_model(f"models:/{name}@champion"), example()
    wanted = model.predict(given)
    assert {key: value.shape for key, value in wanted.items()} == {
        **{"positions": (30, 17, 3), "trajectory": (30, 3), "bone_length_deviation": (30,), "reprojection_px": (30,)},
    }
    with pytest.raises(MlflowException, match="keypoints: have shape 30×16×2, must be frames × 17 joints"):
        model.predict(given | {"keypoints": given["keypoints"][:, 1:]})

    address = serve("models", "serve", "-m", f"models:/{name}@champion", "--env-manager", "local", answers="/ping")
    body = {key: value.tolist() for key, value in given.items()}
    answer = json.loads(post(f"{address}/invocations", {"inputs": body}))["predictions"]
    assert answer.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(np.array(answer[key]), value, atol=1e-5)
    # What people write by hand: whole numbers.
    assert post(f"{address}/invocations", {"inputs": body | {"width": [1000], "fps": [50]}})
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{address}/invocations", {"inputs": body | {"fps": [0]}})
    assert refused.value.code == 400
    assert json.loads(refused.value.read())["message"] == "fps=[0.]: must be one number above 0"

    folder = download_artifacts(f"models:/{name}@champion", dst_path=str(tmp_path / "copy"))
    loaded_where_nothing_is(folder, given, wanted, tmp_path)


@pytest.mark.long
def test_a_server_of_lifters_follows_the_champion_of_an_mlflow_server(corpus, name, capfd, caplog, monkeypatch):
    proxy, address = Proxy(corpus_server := mlflow.get_tracking_uri()), f"models:/{name}@champion"
    gate = (f"name={name}", "promote=champion", "data=tracks", "subjects=[S1]")
    assert raylift(capfd, f"model={write_scaled('bad/best.pt', 3)}", *gate)[0] == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    mlflow.set_tracking_uri(proxy.address)
    try:
        follower = Follower(address, None, served_model.load(address, None))
        assert follower.look() is None
        proxy.fault = lambda number, method, path: "reset"
        assert follower.look() is follower.look() is None
        assert caplog.text.count(f"models:/{name}/1 is served on") == 1
        proxy.fault = lambda number, method, path: None
        monkeypatch.setenv("MLFLOW_TRACKING_URI", corpus_server)
        assert raylift(capfd, f"model={write_scaled('good/best.pt', 1)}", *gate)[0] == 0
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
        champion = follower.look()
        assert champion is not None
        assert (champion.name, champion.sha256) == (f"models:/{name}/2", tags(name, 2)["raylift.sha256"])
    finally:
        proxy.close()


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
    answer = np.load(tmp_path / "found.npz")
    for key, value in wanted.items():
        np.testing.assert_allclose(answer[key], value, atol=1e-6)


@pytest.mark.long
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
    assert set(info.metadata["raylift"]["inputs"]) == {"keypoints", "width", "height", "fps"}
    assert info.metadata["raylift"]["window"]["inputs"] == 9
    given = mlflow.pyfunc.load_model(f"models:/{name}/1").input_example
    assert isinstance(given, dict)
    assert given["keypoints"].shape[1:] == (17, 2)
