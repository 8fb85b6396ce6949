"""Weights in a bucket, from which every machine of a cluster reads them."""

import pytest
from cluster.store_proxy import BUCKET

from jobs import fetch_weights
from pipelines.io import storage
from schemas.configs.fetch_weights import FetchWeightsConfig
from schemas.errors import UserError


class Fetched:
    """A detector whose weights are two files and a lock."""

    @staticmethod
    def fetch_weights(into=None):
        assert into
        for name, data in (("owner--net/config.json", b"{}"), ("owner--net/model.bin", b"\0\1"), (".lock", b"")):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(data)
        return into


@pytest.mark.long
def test_a_bucket_gets_what_was_downloaded(s3, monkeypatch, capsys):
    monkeypatch.setattr("pipelines.registry.load", lambda *_: Fetched)
    into = f"s3://{BUCKET}/weights"
    assert fetch_weights.main(FetchWeightsConfig(detector="x", into=into)) == 0
    assert f"weights are in {into}" in capsys.readouterr().out
    assert storage.read_bytes(f"{into}/owner--net/model.bin") == b"\0\1"
    assert storage.exists(f"{into}/owner--net/config.json")
    assert not storage.exists(f"{into}/.lock")


@pytest.mark.parametrize(
    ("detector", "model", "message"),
    [
        ("blazepose", "huge", "model=huge: blazepose has no such model; give full or heavy"),
        ("movenet", "heavy", "model=heavy: detector=movenet has one model only; leave it out"),
    ],
)
def test_a_model_that_a_detector_does_not_have(detector, model, message):
    with pytest.raises(UserError, match=message):
        fetch_weights.main(FetchWeightsConfig(detector=detector, model=model))
