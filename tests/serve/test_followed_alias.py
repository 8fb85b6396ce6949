"""A server follows its alias, unless what it names now cannot be served to the same clients."""

import hashlib
import shutil
from pathlib import Path

import mlflow
import pytest
from evaluate.lifter_samples import make_lifter
from register.registry_samples import coco_lifter

from pipelines.lifters.checkpoint import save_lifter
from pipelines.mlflow_runs.model_names import SHA256_TAG
from pipelines.serve import served_model
from pipelines.serve.served_model import Follower


@pytest.fixture
def register(own_tracking_store, tmp_path, monkeypatch):
    """Registers a lifter as the next version and names it the champion."""
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    client = mlflow.MlflowClient()
    client.create_registered_model("lifter")

    def make(model, card):
        file = tmp_path / f"{len(client.search_model_versions())}" / "artifacts" / "lifter.pt"
        file.parent.mkdir(parents=True)
        save_lifter(str(file), model, card)
        tags = {SHA256_TAG: hashlib.sha256(Path(file).read_bytes()).hexdigest()}
        version = client.create_model_version("lifter", str(file.parents[1]), tags=tags)
        client.set_registered_model_alias("lifter", "champion", version.version)
        return file

    return make


def follow(address="models:/lifter@champion"):
    return Follower(address, None, served_model.load(address, None))


def test_a_new_champion_is_served_once_it_is_named(register):
    register(*make_lifter())
    follower = follow()
    assert follower.follows
    assert follower.look() is None
    register(*make_lifter(fps=25.0))
    champion = follower.look()
    assert champion is not None
    assert (champion.name, champion.card.fps) == ("models:/lifter/2", 25.0)
    assert follower.look() is None
    mlflow.MlflowClient().set_registered_model_alias("lifter", "champion", "1")
    again = follower.look()
    assert again is not None
    assert again.name == "models:/lifter/1"


def test_a_champion_that_reads_something_else_is_not_served_and_that_is_said_once(register, caplog):
    register(*make_lifter())
    follower = follow()
    register(*coco_lifter())
    assert follower.look() is follower.look() is None
    assert caplog.text.count("models:/lifter/2: reads coco17 with 2 numbers a joint, which is not what clients") == 1
    assert "models:/lifter/1 is served on" in caplog.text


def test_what_goes_wrong_meanwhile_ends_nothing(register, caplog):
    register(*make_lifter())
    follower = follow()
    shutil.rmtree(register(*make_lifter(fps=25.0)).parents[1])
    shutil.rmtree(Path(served_model.model_uris.storage.cache_folder()) / "models")
    assert follower.look() is None
    mlflow.MlflowClient().delete_registered_model_alias("lifter", "champion")
    assert follower.look() is None
    assert "models:/lifter@champion: there is no such alias" in caplog.text


def test_only_an_alias_is_followed(register):
    register(*make_lifter())
    assert not follow("models:/lifter/1").follows
    assert not follow("everyday").follows
