"""An aligner embeds every frame, sees whole windows alone and cannot count frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from aligners.two_views import SMALL, groups

from pipelines.aligners.checkpoint import FORMAT, load_aligner, save_aligner
from pipelines.aligners.network import Aligner
from schemas.configs.train_aligner import AlignerNetworkConfig
from schemas.errors import UserError

PERSON = next(iter(groups().values()))[0]


def test_only_whole_windows_are_embedded():
    assert Aligner(SMALL.network).window == 9
    assert Aligner(SMALL.network).eval()(torch.zeros(2, 12, 24)).shape == (2, 4, 8)
    assert Aligner(AlignerNetworkConfig(filter_widths=(3, 3, 3))).window == 27


def test_each_frame_of_a_recording_has_an_embedding_that_does_not_tell_its_place():
    model = Aligner(SMALL.network).eval()
    assert model.embed(PERSON).shape == (len(PERSON), 8)
    still = replace(PERSON, poses=np.repeat(PERSON.poses[:1], 40, axis=0))
    embedded = model.embed(still)
    assert torch.allclose(embedded, embedded[:1].expand(40, -1), atol=1e-5)


@pytest.mark.parametrize("widths", [(3, 3, 5), (2,)])
def test_a_network_that_could_count_is_refused(widths):
    with pytest.raises(UserError, match=r"odd widths whose product is at most 27 are needed"):
        Aligner(AlignerNetworkConfig(filter_widths=widths))


def test_lifted_poses_are_refused():
    lifted = replace(PERSON, poses=np.zeros((20, 12, 3), np.float32))
    with pytest.raises(UserError, match="embeds keypoints; give tracks=… in place of poses=…"):
        Aligner(SMALL.network).eval().embed(lifted)


def test_what_is_saved_is_loaded_and_other_files_are_refused(tmp_path):
    model = Aligner(SMALL.network).eval()
    save_aligner(str(tmp_path / "a.pt"), model, SMALL.network)
    loaded, sha256 = load_aligner(str(tmp_path / "a.pt"))
    assert len(sha256) == 64
    assert torch.equal(loaded.embed(PERSON), model.embed(PERSON))
    torch.save({"format": "raylift.lifter/2"}, tmp_path / "lifter.pt")
    with pytest.raises(UserError, match=r"lifter.pt: is no aligner of this version; give best.pt"):
        load_aligner(str(tmp_path / "lifter.pt"))


def test_a_file_that_claims_a_large_network_is_refused_before_memory_is_taken_for_it(tmp_path):
    config = SMALL.network.model_copy(update={"channels": 1_000_000})
    torch.save({"format": FORMAT, "config": config.model_dump_json(), "weights": {}}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="weights of another architecture"):
        load_aligner(str(tmp_path / "a.pt"))
