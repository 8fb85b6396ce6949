"""Aligners are registered, promoted, loaded and served as lifters are."""

import json
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from aligners.two_views import tracks, write_aligner
from evaluate.lifter_samples import write_lifter
from mlflow.exceptions import MlflowException
from register.registry_samples import aliases, raylift, tags
from tracks.track_samples import write_tracks

from pipelines.aligners.base import embed
from pipelines.aligners.checkpoint import AlignerCard, load_aligner, save_aligner
from pipelines.aligners.sequences import of_keypoints
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.normalised import limbs


@pytest.fixture
def takes(over_http, tmp_path):
    """Four takes seen by two cameras each, and an aligner."""
    write_tracks(tmp_path / "tracks" / "a.parquet", tracks())
    return write_aligner("one.pt", subjects='["S1"]')


def test_an_aligner_becomes_a_version_and_is_used_by_its_name(takes, name, tmp_path, capfd):
    code, out, err = raylift(capfd, f"model={takes}", f"name={name}")
    assert (code, err) == (0, f"register: exporting and uploading {takes}\n")
    assert out.splitlines() == [
        f"version  models:/{name}/1, new",
        "alias    candidate",
        "aligner  dilated_conv, trained on pairs of one take",
        "trained  not by raylift",
        "note     not trained by raylift: the card names no run",
        f"use      raylift align aligner=models:/{name}@candidate tracks=… reference=… output=…",
        f"         mlflow models serve -m models:/{name}@candidate --env-manager local",
    ]
    version_tags = tags(name, 1)
    assert (version_tags["raylift.aligner"], version_tags["raylift.pairs"]) == ("dilated_conv", "take")
    code, out, _ = raylift(capfd, f"model={takes}", f"name={name}")
    assert (code, out.splitlines()[0]) == (0, f"version  models:/{name}/1, registered before")
    (tmp_path / "one.pt").unlink()
    registered, here = f"aligner=models:/{name}@candidate", ["tracks=tracks", "output=out"]
    assert raylift(capfd, *here, registered, job="embed")[0] == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["aligner"], report["aligner_sha256"]) == (f"models:/{name}/1", version_tags["raylift.sha256"])
    asked = ["reference=t0C0", "others=[t0C1]", "moment_s=2", "corpus=out", "output=aligned"]
    assert raylift(capfd, "tracks=tracks", registered, *asked, job="align")[0] == 0


def test_the_model_embeds_without_this_repository(takes, name, capfd):
    assert raylift(capfd, f"model={takes}", f"name={name}")[0] == 0
    model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    network, *_ = load_aligner(takes)
    track = tracks()[0]
    hidden = np.arange(len(track)) % 7 == 3
    track.scores[hidden, track.keypoints.shape[1] // 2 :] = 0.1
    given = request(track)
    answer = model.predict(given)
    wanted = embed(network, of_keypoints(track)).numpy()
    assert answer["embeddings"].shape == wanted.shape == (len(answer["times_s"]), 8)
    np.testing.assert_allclose(answer["embeddings"], wanted, atol=1e-4)
    with pytest.raises(MlflowException, match="keypoints: have shape 150×11×3, must be frames × 12 joints"):
        model.predict(given | {"keypoints": given["keypoints"][:, 1:]})
    with pytest.raises(MlflowException, match=r"keypoints: last 0\.33 s, and the aligner sees 0\.60 s at once"):
        model.predict(given | {"keypoints": given["keypoints"][:9]})
    with pytest.raises(MlflowException, match=r"fps=\[0\.\]: must be one number above 0"):
        model.predict(given | {"fps": np.zeros(1)})
    unseen = given["keypoints"] * [1, 1, 0]
    with pytest.raises(MlflowException, match="shoulders and hips are never seen together"):
        model.predict(given | {"keypoints": unseen})


def request(track: KeypointTrack) -> dict[str, np.ndarray]:
    """A request for the limbs of a track."""
    of_limbs = limbs(track)
    keypoints = np.concatenate([of_limbs.keypoints, of_limbs.scores[..., None]], axis=2, dtype=np.float64)
    return {"keypoints": keypoints, "fps": np.array([track.fps])}


def test_a_better_aligner_is_promoted_and_a_worse_one_refused(takes, name, capfd):
    loaded, card, _ = load_aligner(takes)
    network: Any = loaded
    with torch.no_grad():
        network.get_submodule("seeing.0").weight[:, 1:] = 0  # it sees where one shoulder is, from left to right
    save_aligner("blind.pt", network, card)
    gate = [f"name={name}", "promote=champion", "data=tracks"]
    assert raylift(capfd, "model=blind.pt", *gate)[0] == 0
    code, out, _ = raylift(capfd, f"model={takes}", *gate, "require=[kendalls_tau>=0.5]")
    assert (code, aliases(name)["champion"]) == (0, "2")
    assert "gate     kendalls_tau on tracks" in out
    assert "kendalls_tau>=0.5: " in out
    assert tags(name, 2)["raylift.gate.champion"] == "passed"
    code, out, _ = raylift(capfd, "model=blind.pt", *gate)
    assert (code, aliases(name)["champion"]) == (1, "2")
    assert "worse: not promoted, exit code 1" in out
    assert "the aligner was trained on S1: scores of these people say little about others" in out


WRONG = [
    (["model=one.pt", "metric=mpjpe_mm"], "metric=mpjpe_mm: is one of lifters; aligners have kendalls_tau"),
    (["model=lifter.pt", "metric=kendalls_tau"], "metric=kendalls_tau: is one of aligners; give one of lifters"),
    (["model=one.pt", "data=alone"], "alone: no two of 1 tracks, 1 s long or more, have the same subject and action"),
    (["model=theirs.pt"], "theirs.pt: names the aligner theirs:Network, whose code would be run; if you know that"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:20] for _, message in WRONG])
def test_what_cannot_be_promoted_is_one_line(takes, arguments, message, tmp_path, capfd):
    write_lifter("lifter.pt")
    write_tracks(tmp_path / "alone" / "a.parquet", tracks()[:1])
    network, *_ = load_aligner(takes)
    save_aligner("theirs.pt", network, AlignerCard(aligner="theirs:Network", config={}))
    code, _, err = raylift(capfd, "name=x", "promote=champion", "data=tracks", *arguments)
    assert code == 2
    assert err.startswith(f"register: {message}")
    assert len(err.splitlines()) == 1


def test_lifters_and_aligners_do_not_stand_for_each_other(takes, name, capfd):
    raylift(capfd, f"model={takes}", f"name={name}")
    raylift(capfd, f"model={write_lifter('lifter.pt')}", f"name={name}-lifter")
    code, _, err = raylift(capfd, "tracks=tracks", f"model=models:/{name}/1", "output=out", job="lift")
    assert (code, err) == (2, f"lift: model=models:/{name}/1: is an aligner; give a lifter\n")
    code, _, err = raylift(capfd, "tracks=tracks", f"aligner=models:/{name}-lifter/1", "output=out", job="embed")
    assert (code, err) == (2, f"embed: aligner=models:/{name}-lifter/1: is a lifter; give an aligner\n")
    code, _, err = raylift(capfd, "tracks=tracks", f"aligner=models:/{name}@best", "output=out", job="embed")
    assert (code, err.partition(";")[0]) == (2, f"embed: models:/{name}@best: there is no such alias")
