"""The published sizes of ViTPose, as configs of the transformers library."""

from typing import Any, Literal

from pipelines.detectors import pretrained

Variant = Literal["s", "b", "l", "h", "s++", "b++", "l++", "h++"]

CLASS = "VitPoseForPoseEstimation"
PATCH = 16
# Number of attention heads, by the number of channels.
HEADS = {384: 12, 768: 12, 1024: 16, 1280: 16}
# Channels and number of layers of each variant.
_SIZES = {"s": (384, 12), "b": (768, 12), "l": (1024, 24), "h": (1280, 32)}
_EXPERTS = 6


def config_of(variant: Variant, joints: int, simple_head: bool = False) -> Any:
    """The transformers config of a published size, for inputs of 256 × 192."""
    width, depth = _SIZES[variant.removesuffix("++")]
    experts = _EXPERTS if variant.endswith("++") else 1
    return build_config(width, depth, joints, simple_head, experts, width // 4, (256, 192))


def build_config(
    width: int,
    depth: int,
    joints: int,
    simple_head: bool,
    experts: int,
    expert_features: int,
    input_hw: tuple[int, int],
) -> Any:
    """A transformers config.

    Args:
        width: Channels, one of `HEADS`.
        depth: Layers.
        joints: Number of heatmaps.
        simple_head: Whether the head is one upsampling and one convolution, instead of two transposed convolutions.
        experts: 1 for ViTPose; for ViTPose++, the number of datasets that it was trained on.
        expert_features: The number of channels that each expert computes; the experts share the others.
        input_hw: Height and width of the crops, pixels.
    """
    library = pretrained.library()
    backbone = library.VitPoseBackboneConfig(
        image_size=list(input_hw),
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=HEADS[width],
        num_experts=experts,
        part_features=expert_features,
        layer_norm_eps=1e-6,
        out_indices=[depth],
    )
    return library.VitPoseConfig(backbone_config=backbone, num_labels=joints, use_simple_decoder=simple_head)
