import re
from typing import Any

import pytest
import torch
from lifters.golden_by_formula import read, sine, weights_of
from pydantic import ValidationError

from pipelines.lifters.base import build_lifter
from pipelines.lifters.model import root_of
from pipelines.lifters.published_dstformer import published_name
from pipelines.lifters.spacetime_blocks import hops_between
from pipelines.lifters.spacetime_transformer import SpacetimeTransformer
from pipelines.lifters.spacetime_transformer_options import SpacetimeTransformerConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

H36M, LIMBS = LAYOUTS["h36m17"], LAYOUTS["limbs12"]
GOLDEN = read("dstformer")
RUNS = [(model, run) for model in GOLDEN["models"] for run in model["runs"]]


def listed(model):
    """Names and shapes of a checkpoint in its order; of the larger ones the file lists the first block alone."""
    entries = []
    for name, shape in model["state_dict"]:
        entries.append((name, shape))
        stream, end = name[: len("blocks_st")], ".mlp_t.fc2.bias"
        if "state_dict_note" in model and name == f"{stream}.0{end}":
            first = [entry for entry in entries if entry[0].startswith(f"{stream}.0.")]
            for number in range(1, model["config"]["depth"]):
                entries += [(key.replace(f"{stream}.0.", f"{stream}.{number}."), size) for key, size in first]
    return entries


def build(input_layout=H36M, output_layout=H36M, **options) -> Any:
    torch.manual_seed(0)
    small = {"clip": 9, "channels": 16, "depth": 2, "heads": 2, "mlp_ratio": 2, "representation": 8}
    values = {"name": "spacetime_transformer", **small, **options}
    return build_lifter(PluginConfig.model_validate(values), input_layout, output_layout)


def keypoints(batch, frames, joints=17):
    return torch.cat([torch.randn(batch, frames, joints, 2), torch.ones(batch, frames, joints, 1)], dim=-1)


@pytest.mark.parametrize(("expected", "run"), RUNS, ids=[f"{m['name']}-{r['input_shape'][1]}" for m, r in RUNS])
def test_dstformer_is_a_setting(expected, run, conftest_fill):
    published = expected["config"]
    config = SpacetimeTransformerConfig(
        **{
            "clip": published["maxlen"],
            "channels": published["dim_feat"],
            "depth": published["depth"],
            "heads": published["num_heads"],
        },
        **{
            "mlp_ratio": published["mlp_ratio"],
            "representation": published["dim_rep"],
            "bone_bias": False,
            "drop_path": 0,
        },
    )
    lifter = SpacetimeTransformer(config, H36M, H36M).eval()
    weights = weights_of(listed(expected), conftest_fill)
    own = lifter.state_dict()
    lifter.load_state_dict({name: weights[published_name(name)].view_as(own[name]) for name in own})
    assert sum(parameter.numel() for parameter in lifter.parameters()) == expected["params"]
    with torch.no_grad():
        outputs = lifter(sine(run["input_shape"], 0.5, 0.013))
    for place, value in run["samples"].items():
        assert outputs[tuple(map(int, place.split(",")))].item() == pytest.approx(value, abs=1e-5)
    assert outputs.mean().item() == pytest.approx(run["mean"], abs=1e-5)
    assert outputs.abs().max().item() == pytest.approx(run["abs_max"], abs=1e-5)


def test_missing_keypoints_are_not_places():
    lifter, inputs = build().eval(), keypoints(2, 9)
    inputs[:, 4:, 5] = torch.tensor([3.0, 4.0, 0.0])
    elsewhere = inputs.clone()
    elsewhere[:, 4:, 5, :2] = -8
    assert torch.equal(lifter(inputs), lifter(elsewhere))
    inputs[:, 4:, 5, 2] = elsewhere[:, 4:, 5, 2] = 1
    assert not torch.equal(lifter(inputs), lifter(elsewhere))


def test_joints_that_are_never_seen_are_predicted():
    assert build(LIMBS, H36M)(keypoints(2, 5, 12)).shape == (2, 5, 17, 3)
    assert build(LIMBS, root_of(H36M), streams="single")(keypoints(2, 5, 12)).shape == (2, 5, 1, 3)


@pytest.mark.parametrize("frames", [1, 4, 9])
def test_clips_may_be_shorter_but_not_longer(frames):
    lifter = build().eval()
    assert lifter(keypoints(2, frames)).shape == (2, frames, 17, 3)
    with pytest.raises(UserError, match="clip: has 10 frames, the lifter takes at most 9"):
        lifter(keypoints(2, 10))


@pytest.mark.parametrize("streams", ["single", "dual"])
def test_causal_predictions_do_not_depend_on_what_follows(streams):
    inputs = keypoints(1, 9)
    later = inputs.clone()
    later[:, 5:, :, :2] += 1
    for causal in (True, False):
        lifter = build(causal=causal, streams=streams).eval()
        same = (lifter(inputs) == lifter(later)).flatten(2).all(2)[0].tolist()
        assert same == ([True] * 5 + [False] * 4 if causal else [False] * 9)


def test_positions_are_functions_of_time():
    usual, slow = build(), build(frame_step=2)
    assert slow.window.inputs == 5
    torch.testing.assert_close(slow._frame_rows(5), usual._frame_rows(9)[::2])
    fast = build(frame_step=0.5)
    assert fast.window.inputs == 17
    torch.testing.assert_close(fast._frame_rows(17)[::2], usual._frame_rows(9))
    torch.testing.assert_close(fast._frame_rows(17)[1], usual._frame_rows(9)[:2].mean(0))


def test_bones_between_joints():
    hops = hops_between(list(H36M.joints), H36M)
    pelvis, knee, head, wrist = (H36M.index(name) for name in ("pelvis", "left_knee", "head", "left_wrist"))
    assert (hops[pelvis, knee], hops[knee, pelvis], hops[head, wrist]) == (2, 2, 5)
    assert hops.diagonal().abs().max() == 0
    alone = hops_between([*LIMBS.joints, "size"], LIMBS)
    assert alone[-1, :-1].tolist() == [8] * 12


def test_bone_bias_changes_the_attention_over_joints_alone():
    lifter, inputs = build().eval(), keypoints(1, 3)
    before = lifter(inputs)
    with torch.no_grad():
        for block in lifter.blocks:
            block.joints_first[0].bone_bias.normal_()
    assert not torch.allclose(lifter(inputs), before)
    assert not any("bone_bias" in name for name in build(bone_bias=False).state_dict())


def test_training_hides_keypoints_and_skips_blocks():
    lifter, inputs = build(mask_joints=0.5, mask_frames=0.5, drop_path=0), keypoints(400, 9)
    hidden = lifter._hidden(inputs)[..., 2]
    assert (hidden.sum((1, 2)) / (9 * 17)).mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(lifter.eval()._hidden(inputs), inputs)
    block = build(drop_path=0.5).blocks[1].joints_first[0]
    branch = block._kept(torch.ones(1000, 1, 1, 1))
    assert branch.mean().item() == pytest.approx(1, abs=0.15)
    assert set(branch.flatten().tolist()) == {0.0, 2.0}


def test_fresh_streams_have_equal_shares():
    shares = build().blocks[0].fusion(torch.randn(5, 32)).softmax(-1)
    torch.testing.assert_close(shares, torch.full((5, 2), 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"channels": 20, "heads": 8}, "heads=8 must divide channels=20"), ({"frame_step": 100}, "leaves no two frames")],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        build(**options)
