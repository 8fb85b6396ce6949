import hashlib
import json
import random
import sys

import pytest
import torch

from pipelines.io import storage
from pipelines.lifters.checkpoint import LifterCard, load_lifter, require_layout, save_lifter
from pipelines.lifters.model import build_model
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import PluginConfig
from schemas.layouts import layout

CONFIG = {"filter_widths": [3, 3], "channels": 4}


def make_card(**changes):
    return LifterCard(
        **{
            "lifter": "temporal_conv",
            "config": CONFIG,
            "input_layout": "coco17",
            "output_layout": "h36m17",
            "trajectory": True,
            "fps": 50.0,
            "window": FrameWindow.sliding(9),
            "lineage": {"run": "abc"},
            **changes,
        }
    )


def make_model(trajectory=True, **config):
    name = PluginConfig.model_validate({"name": "temporal_conv", **CONFIG, **config})
    return build_model(name, layout("coco17"), layout("h36m17"), trajectory)


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "models" / "lifter.pt")


def refuse(uri, *parts):
    """Loading fails with one line that has all these parts."""
    with pytest.raises(UserError) as error:
        load_lifter(uri)
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in (uri, *parts)), message


@pytest.mark.parametrize("causal", [False, True])
def test_files_of_format_1_are_read(uri, causal):
    card = make_card(config=CONFIG | {"causal": causal})
    fields = {name: value for name, value in card.model_dump(mode="json").items() if name != "window"}
    fields |= {"format": "raylift.lifter/1", "receptive_field": 9}
    content = {
        "format": "raylift.lifter/1",
        "card": json.dumps(fields),
        "weights": make_model(causal=causal).state_dict(),
    }
    storage.write_bytes(uri, b"")  # makes the folder
    torch.save(content, uri)
    assert load_lifter(uri)[1].window == FrameWindow(9, 1, 8 if causal else 4)
    torch.save(content | {"card": json.dumps(fields | {"receptive_field": "wide"})}, uri)
    refuse(uri, "the card is damaged")


@pytest.mark.parametrize("trajectory", [False, True])
def test_round_trip(uri, trajectory, randomised):
    model, card = randomised(make_model(trajectory)).eval(), make_card(trajectory=trajectory)
    save_lifter(uri, model, card)
    loaded, loaded_card = load_lifter(uri)
    assert loaded_card == card
    assert not loaded.training
    inputs = torch.randn(2, 11, 17, 2)
    assert torch.equal(loaded(inputs)[0], model(inputs)[0])
    if trajectory:
        assert torch.equal(loaded(inputs)[1], model(inputs)[1])


def test_a_file_that_is_replaced_after_its_hash_was_taken_is_not_the_model(uri):
    save_lifter(uri, make_model(), make_card())
    sha256 = hashlib.sha256(storage.read_bytes(uri)).hexdigest()
    load_lifter(uri, sha256=sha256)
    save_lifter(uri, make_model(), make_card(fps=25.0))
    with pytest.raises(UserError, match="has changed while it was read"):
        load_lifter(uri, sha256=sha256)


def test_missing(uri):
    refuse(uri, "cannot be read", "give the path of a lifter")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_truncated(uri, kept, tmp_path):
    save_lifter(uri, make_model(), make_card())
    data = (tmp_path / "models" / "lifter.pt").read_bytes()
    (tmp_path / "models" / "lifter.pt").write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    refuse(uri, "is damaged or no checkpoint")


@pytest.mark.parametrize("seed", range(20))
def test_garbage(tmp_path, seed):
    file = tmp_path / "garbage.pt"
    file.write_bytes(random.Random(seed).randbytes(1000))
    refuse(str(file), "is damaged or no checkpoint")


def test_pickled_objects_are_refused(tmp_path):
    torch.save({"model_pos": {}, "rng": random.Random(0)}, tmp_path / "objects.pt")
    refuse(str(tmp_path / "objects.pt"), "pickled objects", "refused", "save its state dict alone")


def test_other_dictionaries(tmp_path):
    torch.save({"model_pos": {}, "epoch": 3}, tmp_path / "other.pt")
    refuse(str(tmp_path / "other.pt"), "is no Raylift lifter (keys: model_pos, epoch")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    refuse(str(tmp_path / "tensor.pt"), "holds a Tensor, not a lifter")


def test_unknown_format(uri):
    save_lifter(uri, make_model(), make_card().model_copy(update={"format": "raylift.lifter/3"}))
    refuse(uri, "format is 'raylift.lifter/3'", "reads 'raylift.lifter/2'", "upgrade raylift")


def test_weights_of_another_architecture(uri):
    save_lifter(uri, make_model(), make_card(config={**CONFIG, "channels": 8}))
    refuse(uri, "another architecture", "expected pose.expand.product.weight 8×102, found 4×102", "and 29 more")
    save_lifter(uri, make_model(trajectory=False), make_card())
    refuse(uri, "trajectory.expand.product.weight 4×102, found nothing")


def test_the_code_of_another_lifter_runs_only_where_it_is_trusted(uri, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    save_lifter(uri, make_model(), make_card(lifter="planted:Mine"))
    refuse(uri, "names the lifter planted:Mine, whose code would be run", "give trust=planted:Mine")
    for trust in ("planted", "planted:Other"):
        with pytest.raises(UserError, match="whose code would be run"):
            load_lifter(uri, trust)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match=r"must be a torch\.nn\.Module"):
        load_lifter(uri, "planted:Mine")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "inner", [{"name": "planted:Mine"}, "planted:Mine", {"name": "supermask", "inner": "planted:Mine"}]
)
def test_neither_does_the_code_of_a_lifter_within_another_one(inner, uri, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "planted", raising=False)
    save_lifter(uri, make_model(), make_card(lifter="supermask", config={"inner": inner}))
    refuse(uri, "names the lifter planted:Mine, whose code would be run", "give trust=planted:Mine")
    assert not (tmp_path / "ran").exists()


def test_options_this_version_does_not_have(uri):
    save_lifter(uri, make_model(), make_card(config={**CONFIG, "heads": 8}))
    refuse(uri, "lifter.heads=8", "written by raylift")


def test_a_card_that_is_none(tmp_path):
    torch.save({"format": "raylift.lifter/1", "card": "{}"}, tmp_path / "lifter.pt")
    refuse(str(tmp_path / "lifter.pt"), "the card is damaged")


def test_the_layout_of_the_data_is_held_against_the_card():
    require_layout(make_card(), "coco17")
    require_layout(make_card(), "blazepose33")
    with pytest.raises(UserError, match="keypoints are h36m17, the lifter was trained on coco17; label with coco17"):
        require_layout(make_card(), "h36m17")


def test_a_card_that_claims_a_large_network_is_refused_before_memory_is_taken_for_it(uri):
    save_lifter(uri, make_model(), make_card(config={"filter_widths": [3, 3, 3], "channels": 10_000_000}))
    refuse(uri, "weights of another architecture")
    save_lifter(uri, make_model(), make_card(config={"filter_widths": [3] * 10_000, "channels": 4}))
    refuse(uri, "lifter.filter_widths")
    save_lifter(uri, make_model(), make_card(config={"filter_widths": [3, 3], "channels": 10**12}))
    refuse(uri, "describes a network that cannot be built")
    save_lifter(uri, make_model(), make_card(config={"filter_widths": [3] * 14, "channels": 1}))
    refuse(uri, "lifter.filter_widths")
    for name, option in (("residual_mlp", "stages"), ("spacetime_transformer", "depth")):
        save_lifter(uri, make_model(), make_card(lifter=name, config={option: 10**9}))
        refuse(uri, f"lifter.{option}=1000000000")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": [1]}, "weights is a list, not a dictionary of weights"),
        ({"weights": {"pose.shrink.bias": torch.full((51,), torch.nan)}}, "pose.shrink.bias is not finite"),
        ({"weights": {"pose.shrink.bias": torch.zeros(51, dtype=torch.complex64)}}, "of another kind (complex64)"),
        ({"card": {"fps": 0.0}}, "the card is damaged"),
        ({"card": {"fps": 1e300}}, "the card is damaged"),
        ({"card": {"lineage": {"subjects": "[" * 100_000}}}, "the card is damaged"),
        ({"card": {"lineage": {"subjects": "{}"}}}, "the card is damaged"),
        ({"card": {"eyes": 3}}, "the card has eyes, which this version does not know; upgrade raylift"),
        ({"card": {"eyes": 3, "fps": 0.0}}, "the card is damaged"),
    ],
)
def test_what_is_no_lifter_is_one_line(changes, reason, uri):
    save_lifter(uri, make_model(), make_card())
    content = torch.load(uri)
    if "card" in changes:
        content["card"] = json.dumps(json.loads(content["card"]) | changes["card"])
    elif isinstance(changes["weights"], dict):
        content["weights"] |= changes["weights"]
    else:
        content |= changes
    torch.save(content, uri)
    refuse(uri, reason)
