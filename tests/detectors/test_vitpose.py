import numpy as np
import pytest
import torch
import transformers

from pipelines.detectors import pretrained
from pipelines.detectors.base import KeypointEstimator
from pipelines.detectors.vitpose.detector import Vitpose, VitposeConfig
from pipelines.detectors.vitpose.network import VitposeNetwork, load_vitpose
from pipelines.detectors.vitpose.sizes import HEADS, config_of
from schemas.errors import UserError


def tiny(experts=1, simple=False, joints=17):
    torch.manual_seed(0)
    fields = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_experts": experts,
        "part_features": 8,
        "out_indices": [2],
        "initializer_range": 0.2,
    }
    backbone = transformers.VitPoseBackboneConfig(**fields)
    config = transformers.VitPoseConfig(
        **{"backbone_config": backbone, "num_labels": joints, "use_simple_decoder": simple}
    )
    return transformers.VitPoseForPoseEstimation(config).eval()


def detector(weights, **options):
    fields = {"weights": str(weights), "persons": {"name": "fixed_people:TwoPeople"}, "min_person_score": 0, **options}
    return Vitpose(VitposeConfig.model_validate(fields), 1, "cpu")


def noise(count=2):
    return np.random.default_rng(0).integers(0, 256, (count, 90, 120, 3), np.uint8)


@pytest.mark.parametrize(
    ("variant", "simple", "millions"),
    [("s", False, 24.29), ("b", False, 89.99), ("b", True, 85.91), ("l", False, 308.54), ("h", False, 637.21)],
)
def test_parameter_counts(variant, simple, millions):
    library = pretrained.library()
    with torch.device("meta"):
        model = library.VitPoseForPoseEstimation(config_of(variant, 17, simple))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@torch.inference_mode()
def test_one_expert_alone_predicts_what_it_does_among_six():
    crops = torch.randn(2, 3, 256, 192)
    model = tiny(experts=6)
    for dataset in (0, 4):
        expected = model(crops, dataset_index=torch.full((2,), dataset)).heatmaps
        torch.testing.assert_close(VitposeNetwork(tiny(experts=6), None, dataset)(crops), expected)


@torch.inference_mode()
def test_position_embeddings_are_stretched_over_other_sizes():
    same, larger = VitposeNetwork(tiny(), (192, 256), 0), VitposeNetwork(tiny(), (288, 384), 0)
    expected = tiny().backbone.embeddings.position_embeddings
    torch.testing.assert_close(same.model.backbone.embeddings.position_embeddings, expected)
    stretched = larger.model.backbone.embeddings.position_embeddings
    assert stretched.shape == (1, 1 + 24 * 18, 32)
    torch.testing.assert_close(stretched[:, 0], expected[:, 0])
    grid, before = stretched[0, 1:].view(24, 18, 32), expected[0, 1:].view(16, 12, 32)
    # In the middle of three new patches lies the middle of two old ones.
    torch.testing.assert_close(grid.mean((0, 1)), before.mean((0, 1)), atol=0.02, rtol=0)
    assert larger(torch.randn(1, 3, 384, 288)).shape == (1, 17, 96, 72)


@pytest.mark.parametrize(("experts", "simple"), [(1, False), (1, True), (6, False)])
def test_a_saved_model_finds_people(experts, simple, tmp_path):
    tiny(experts, simple).save_pretrained(tmp_path)
    estimator = detector(tmp_path, precision="float32")
    assert isinstance(estimator, KeypointEstimator)
    people = estimator(noise())
    assert [each.keypoints.shape for each in people] == [(2, 17, 2)] * 2
    again = detector(tmp_path, precision="float32", batch_size=1)(noise())
    np.testing.assert_allclose(people[1].keypoints, again[1].keypoints, atol=0.2)


def test_random_weights():
    first, again, other = (detector(f"random:{seed}", variant="s") for seed in (1, 1, 2))
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256
    frames = noise(1)
    np.testing.assert_array_equal(first(frames)[0].keypoints, again(frames)[0].keypoints)


def as_published(model):
    """Its weights under the names of the authors' files, heads of other datasets beside them."""
    weights = {"associate_keypoint_heads.0.final_layer.bias": torch.zeros(16)}
    for name, value in model.state_dict().items():
        if "attention.attention" in name:
            if ".query." in name:
                parts = [model.state_dict()[name.replace("query", part)] for part in ("query", "key", "value")]
                name, value = name.replace("attention.attention.query", "attn.qkv"), torch.cat(parts)
            else:
                continue
        for ours, theirs in {
            "backbone.embeddings.position_embeddings": "backbone.pos_embed",
            "embeddings.patch_embeddings.projection": "patch_embed.proj",
            "encoder.layer.": "blocks.",
            "attention.output.dense": "attn.proj",
            "layernorm_before": "norm1",
            "layernorm_after": "norm2",
            "backbone.layernorm": "backbone.last_norm",
            "head.deconv1": "keypoint_head.deconv_layers.0",
            "head.batchnorm1": "keypoint_head.deconv_layers.1",
            "head.deconv2": "keypoint_head.deconv_layers.3",
            "head.batchnorm2": "keypoint_head.deconv_layers.4",
            "head.conv": "keypoint_head.final_layer",
        }.items():
            name = name.replace(ours, theirs)
        weights[name] = value
    return weights


@torch.inference_mode()
@pytest.mark.parametrize(("experts", "simple"), [(1, False), (1, True), (6, False)])
def test_the_authors_files(experts, simple, tmp_path, monkeypatch):
    monkeypatch.setitem(HEADS, 32, 2)
    weights, crops = as_published(tiny(experts, simple)), torch.randn(2, 3, 256, 192)
    expected = VitposeNetwork(tiny(experts, simple), None, 0)(crops)
    for content in (weights, {"state_dict": weights, "meta": {"epoch": 210}}):
        torch.save(content, tmp_path / "vitpose.pth")
        loaded = load_vitpose(str(tmp_path / "vitpose.pth"), "b", 17, None, 0)
        network = loaded.network
        assert (network.input_wh, network.joints, len(loaded.sha256)) == ((192, 256), 17, 64)
        # Layer norms of the authors have a smaller epsilon than the library's default.
        torch.testing.assert_close(network(crops), expected, atol=1e-4, rtol=1e-4)


def test_files_that_are_no_checkpoint_of_vitpose_are_refused(tmp_path):
    file = str(tmp_path / "vitpose.pth")
    refuse("detector.weights=", "vitpose.pth: cannot be read: No such file", weights=file)
    torch.save({"fc.weight": torch.zeros(3)}, file)
    refuse("vitpose.pth: is no ViTPose checkpoint of its authors (keys: fc.weight, …)", weights=file)
    weights = as_published(tiny())
    torch.save(weights, file)
    refuse("has 192 patches of 32 channels, which is no published ViTPose: those have 384", weights=file)
    (tmp_path / "vitpose.pth").write_bytes((tmp_path / "vitpose.pth").read_bytes()[:999])
    refuse("is damaged or no checkpoint; copy it again", weights=file)


def refuse(*parts, **options):
    with pytest.raises(UserError) as error:
        detector(**options)
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in parts), error.value


def test_wrong_weights_are_reported_in_a_line(tmp_path):
    refuse("detector.weights=/no/such/model: there is no such folder", weights="/no/such/model")
    tiny(joints=16).save_pretrained(tmp_path)
    refuse("detector.layout=coco17: has 17 joints, but the weights have 16", weights=tmp_path)
    assert detector(tmp_path, layout="mpii16").layout.name == "mpii16"
    (tmp_path / "model.safetensors").write_bytes(b"half a fil")
    refuse("model.safetensors is damaged or of another architecture", weights=tmp_path)


def test_sizes_are_whole_patches():
    with pytest.raises(ValueError, match="height and width must be multiples of 16"):
        VitposeConfig(input_size="250x192")
