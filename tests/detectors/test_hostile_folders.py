"""Folders of transformers that somebody else wrote: config.json may claim anything, and name anything."""

import io
import json
import logging
import os

import pytest
import safetensors.torch
import torch
import transformers
from small_transformers import made, small_detr

from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.persons.detr import DetrPersons
from pipelines.detectors.vitpose.detector import Vitpose, VitposeConfig
from schemas.errors import UserError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{kind: a folder with a small model of it}"""
    fields = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "out_indices": [1]}
    config = made("VitPoseConfig", backbone_config=made("VitPoseBackboneConfig", **fields), num_labels=17)
    by_kind = {"detr": small_detr("RTDetr"), "vitpose": made("VitPoseForPoseEstimation", config)}
    for kind, model in by_kind.items():
        folder = tmp_path_factory.mktemp(kind)
        model.save_pretrained(folder)
        by_kind[kind] = folder
    return by_kind


def loaded(kind, folder):
    if kind == "detr":
        return DetrPersons(PersonsConfig(weights=str(folder)), 1, "cpu")
    fields = {"weights": str(folder), "persons": {"name": "fixed_people:TwoPeople"}}
    return Vitpose(VitposeConfig.model_validate(fields), 1, "cpu")


def changed(folder, target, changes, backbone, preprocessor=None):
    document = json.loads((folder / "config.json").read_text())
    document |= changes
    if backbone:
        document["backbone_config"] |= backbone
    target.mkdir()
    (target / "config.json").write_text(json.dumps(document))
    (target / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    if preprocessor is not None:
        (target / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return target


@pytest.mark.parametrize(
    ("kind", "changes", "backbone", "reason"),
    [
        ("vitpose", {}, {"hidden_size": 16384}, "numbers, of which 48,465 are stored"),
        ("vitpose", {}, {"mlp_ratio": 60000}, "are stored"),
        ("vitpose", {}, {"hidden_size": 10**12}, "has hidden_size of 1,000,000,000,000, more than 65,536"),
        ("vitpose", {}, {"num_hidden_layers": 65000}, "parts, which are more than are stored"),
        ("vitpose", {}, {"num_experts": 60000, "part_features": 8}, "parts, which are more than are stored"),
        ("vitpose", {"num_labels": 10**9}, {}, "has num_labels of 1,000,000,000"),
        ("vitpose", {"initializer_range": float("nan")}, {}, "has initializer_range of inf"),
        ("vitpose", {}, {"hidden_size": "16384"}, "config.json"),
        ("vitpose", {"backbone_config": [16384]}, {}, "has a backbone of kind None"),
        ("vitpose", {}, {"image_size": [65536, 65536], "patch_size": 65536}, "config.json"),
        ("vitpose", {"scale_factor": 60000}, {}, "scale_factor"),
        ("detr", {"d_model": 16384}, {}, "config.json"),
        ("detr", {"encoder_layers": 60000}, {}, "parts, which are more than are stored"),
        ("detr", {"decoder_ffn_dim": 60000, "decoder_layers": 100}, {}, "are stored"),
        ("detr", {"num_queries": 60000}, {}, "num_queries=60000 must be 1 to 2000"),
        ("detr", {"num_queries": 5000}, {}, "num_queries"),
        ("detr", {"feat_strides": [0, 0, 0]}, {}, "feat_strides"),
        ("detr", {}, {"model_type": "timm_backbone", "backbone": "resnet18"}, "has a backbone of kind 'timm_backbone'"),
    ],
)
def test_what_a_config_claims_is_one_line_before_memory_is_taken_for_it(
    kind, changes, backbone, reason, folders, tmp_path
):
    folder = changed(folders[kind], tmp_path / "claims", changes, backbone)
    with pytest.raises(UserError) as error:
        loaded(kind, folder)
    assert "\n" not in str(error.value)
    assert reason in str(error.value)
    assert "claims: " in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_weights": "../other.safetensors"},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {"auto_map": {"AutoModelForObjectDetection": "nobody/code--model.Network"}},
        {"backbone": "nobody/no-such-model", "use_pretrained_backbone": True, "use_timm_backbone": True},
        {"anchor_image_size": [60000, 60000]},
        {"_attn_implementation": "nobody/no-such-kernel"},
    ],
)
def test_what_a_config_says_of_other_things_than_the_network_is_not_read(changes, folders, tmp_path):
    network = loaded("detr", changed(folders["detr"], tmp_path / "names", changes, {}))
    plain = loaded("detr", folders["detr"])
    assert network.weights_sha256 == plain.weights_sha256
    assert isinstance(network, DetrPersons)
    assert isinstance(plain, DetrPersons)
    frames = torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8)
    for value, expected in zip(network(frames), plain(frames), strict=True):
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize(
    "claims",
    [
        {"size": {"height": 10**6, "width": 10**6}},
        {"size": {"height": "64", "width": 64}},
        {"size": [640, 640]},
        {"size": {"height": 0, "width": -32}},
        {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.1, 0, 0.1]},
        {"do_normalize": True, "image_mean": ["0.5"] * 3, "image_std": [0.1] * 3},
        {"do_normalize": True, "image_mean": [[0.5] * 1000] * 1000, "image_std": [0.1] * 3},
    ],
)
def test_what_a_preprocessor_claims_is_one_line(claims, folders, tmp_path):
    folder = changed(folders["detr"], tmp_path / "claims", {}, {}, claims)
    with pytest.raises(UserError, match=r"^detector.persons.weights=.*claims: preprocessor_config.json [^\n]+$"):
        loaded("detr", folder)


def test_weights_that_are_not_finite_are_one_line(folders, tmp_path):
    folder = changed(folders["vitpose"], tmp_path / "nan", {}, {})
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folders["vitpose"])
    torch.nn.init.constant_(model.head.conv.weight, float("nan"))
    model.save_pretrained(folder)
    with pytest.raises(UserError, match=r"^detector.weights=.*nan: head.conv.weight is not finite"):
        loaded("vitpose", folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_is_one_line(name, folders, tmp_path):
    folder = changed(folders["vitpose"], tmp_path / "pipe", {}, {})
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match=rf"^detector.weights=.*pipe: {name} cannot be read: is a named pipe"):
        loaded("vitpose", folder)


def test_the_name_of_a_tensor_drives_no_terminal(folders, tmp_path):
    folder = changed(folders["vitpose"], tmp_path / "names", {}, {})
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    safetensors.torch.save_file({**tensors, "\x1b[2J": torch.zeros(1)}, folder / "model.safetensors")
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    transformers.utils.logging.add_handler(handler)
    try:
        loaded("vitpose", folder)
    finally:
        transformers.utils.logging.remove_handler(handler)
    assert "\x1b" not in printed.getvalue()


def test_more_tensors_than_a_network_has_are_one_line(folders, tmp_path):
    """For 200,000 of them, transformers took minutes to find no place."""
    folder = changed(folders["vitpose"], tmp_path / "many", {}, {})
    empty = torch.zeros(0)
    safetensors.torch.save_file({f"a{n}": empty.clone() for n in range(20_001)}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model.safetensors is damaged .* 20,001 tensors, at most 20,000 are read"):
        loaded("vitpose", folder)
