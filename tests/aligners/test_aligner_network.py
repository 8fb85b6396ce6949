"""An aligner embeds every frame, sees whole windows alone and cannot count frames; files name it, and run no code."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from aligners.two_views import SMALL, groups

from pipelines.aligners.base import build_network, embed
from pipelines.aligners.checkpoint import AlignerCard, load_aligner, save_aligner
from schemas.errors import UserError
from schemas.job_config import PluginConfig

PERSON = next(iter(groups().values()))[0]
CARD = AlignerCard.of(SMALL.network)


def network(**options):
    """One in evaluation mode."""
    built: Any = build_network(PluginConfig.model_validate(options) if options else SMALL.network)
    return built.eval()


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "a.pt")


def refuse(uri, message, trust=None):
    with pytest.raises(UserError, match=message):
        load_aligner(uri, trust)


def test_only_whole_windows_are_embedded():
    assert network().window == 9
    assert network()(torch.zeros(2, 12, 24)).shape == (2, 4, 8)
    assert network(name="dilated_conv", filter_widths=(3, 3, 3)).window == 27


def test_each_frame_of_a_recording_has_an_embedding_that_does_not_tell_its_place():
    model = network()
    assert embed(model, PERSON).shape == (len(PERSON), 8)
    still = replace(PERSON, poses=np.repeat(PERSON.poses[:1], 40, axis=0))
    embedded = embed(model, still)
    assert torch.allclose(embedded, embedded[:1].expand(40, -1), atol=1e-5)


@pytest.mark.parametrize("widths", [(3, 3, 5), (2,)])
def test_a_network_that_could_count_is_refused(widths):
    with pytest.raises(UserError, match=r"odd widths whose product is at most 27 are needed"):
        network(name="dilated_conv", filter_widths=widths)


def test_lifted_poses_are_refused():
    lifted = replace(PERSON, poses=np.zeros((20, 12, 3), np.float32))
    with pytest.raises(UserError, match="embeds keypoints; give tracks=… in place of poses=…"):
        embed(network(), lifted)


def test_what_is_saved_is_loaded_and_other_files_are_refused(uri, tmp_path):
    model = network()
    save_aligner(uri, model, CARD.model_copy(update={"pairs": "take", "lineage": {"subjects": '["S1"]'}}))
    loaded, card, sha256 = load_aligner(uri)
    assert (len(sha256), card.pairs, card.subjects) == (64, "take", ["S1"])
    assert torch.equal(embed(loaded, PERSON), embed(model, PERSON))
    torch.save({"format": "raylift.lifter/2"}, tmp_path / "lifter.pt")
    refuse(str(tmp_path / "lifter.pt"), r"lifter.pt: is no aligner of this version; give best.pt")
    torch.save({"format": "raylift.aligner/1"}, uri)
    refuse(uri, "the card is damaged; copy the file again")
    with pytest.raises(UserError, match="has changed while it was read"):
        load_aligner(uri, sha256=sha256)


def test_options_that_this_version_does_not_have(uri):
    save_aligner(uri, network(), CARD.model_copy(update={"config": {"heads": 8}}))
    refuse(uri, r"network.heads=8: .* it was written by raylift")


def test_a_file_that_claims_a_large_network_is_refused_before_memory_is_taken_for_it(uri):
    config = {**CARD.config, "channels": 1_000_000}
    save_aligner(uri, network(), CARD.model_copy(update={"config": config}))
    refuse(uri, "weights of another architecture")


MINE = """
from torch import nn
from schemas.job_config import JobConfig
open({ran!r}, "w")
class Mine(nn.Module):
    class Config(JobConfig):
        dimensions: int = 4
    def __init__(self, config):
        super().__init__()
        self.window = {window}
        self.inner = nn.Conv1d(24, config.dimensions, 3)
    def forward(self, poses):
        return self.inner(poses.mT).mT
def make(config): ...
"""


@pytest.fixture
def mine(tmp_path, monkeypatch, request):
    """A network of somebody else's, in a module that tells when its code is run; returns the module and the mark."""
    name, ran = f"mine_{tmp_path.name}", tmp_path / "ran"
    (tmp_path / f"{name}.py").write_text(MINE.format(ran=str(ran), window=getattr(request, "param", 3)))
    monkeypatch.syspath_prepend(tmp_path)
    return name, ran


def test_the_code_of_another_network_runs_only_where_it_is_trusted(uri, mine):
    name, ran = mine
    save_aligner(uri, network(), CARD.model_copy(update={"aligner": f"{name}:Mine", "config": {}}))
    refuse(uri, f"names the aligner {name}:Mine, whose code would be run; if you know that code, give trust={name}:Min")
    refuse(uri, "whose code would be run", trust=f"{name}:Other")
    assert not ran.exists()
    refuse(uri, "weights of another architecture", trust=f"{name}:Mine")
    assert ran.exists()
    built = network(name=f"{name}:Mine", dimensions=5)
    save_aligner(uri, built, AlignerCard(aligner=f"{name}:Mine", config={"dimensions": 5}))
    loaded, *_ = load_aligner(uri, trust=f"{name}:Mine")
    assert embed(loaded, PERSON).shape == (len(PERSON), 5)
    with pytest.raises(UserError, match=f"network.name={name}:make: must be a torch.nn.Module with a Config"):
        network(name=f"{name}:make")


@pytest.mark.parametrize("mine", [4, 81, None], indirect=True)
def test_a_network_of_somebody_else_that_could_count_is_refused(mine):
    with pytest.raises(UserError, match="must be the frames that an embedding sees, an odd number up to 27"):
        network(name=f"{mine[0]}:Mine")
