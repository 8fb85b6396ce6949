from pathlib import Path

import pytest
import torch

from pipelines.lifters import shipped
from pipelines.lifters.checkpoint import load_lifter
from pipelines.mlflow_runs import model_uris
from schemas.errors import UserError
from schemas.job_config import SHIPPED_LIFTERS


@pytest.mark.parametrize("name", SHIPPED_LIFTERS)
def test_shipped_lifters_are_found_by_name_and_small(name):
    fetched = model_uris.fetch(name)
    assert (fetched.name, fetched.sha256) == (name, shipped.HASHES[name])
    assert Path(fetched.file).stat().st_size < 12_000_000


def test_everyday_lifts_any_detectors_limbs():
    model, card = load_lifter(str(shipped.locate("everyday")))
    assert (card.input, card.input_layout, card.output_layout, card.fps) == ("person_centred", "limbs12", "h36m17", 30)
    assert "mocap.cs.cmu.edu" in " ".join(card.lineage.values())
    pose, _ = model(torch.rand(1, 40, 12, 3))
    assert pose.isfinite().all()


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path)
    (tmp_path / "everyday.pt").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"model=everyday: .*everyday.pt is missing or damaged; install Raylift again"):
        shipped.locate("everyday")


def test_a_misspelt_name_is_answered_with_the_right_one(tmp_path):
    with pytest.raises(UserError, match=r"model=.*everday: cannot be read: No such file.*; did you mean everyday\?"):
        model_uris.fetch(str(tmp_path / "everday"))


def test_the_terms_of_its_data_lie_beside_it():
    notice = (Path(shipped.__file__).parent / "NOTICE.md").read_text()
    for sentence in ("obtained from mocap.cs.cmu.edu", "NSF", "EIA-0196217", "Meta Platforms", "RSAIT"):
        assert sentence in notice
