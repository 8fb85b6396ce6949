"""The published sizes of ViTPose, as configs of the transformers library."""

from typing import Any, Literal

from pipelines.detectors import pretrained
from pipelines.detectors.vitpose.shape import VitposeShape

Variant = Literal["s", "b", "l", "h", "s++", "b++", "l++", "h++"]

CLASS = "VitPoseForPoseEstimation"
PATCH = 16
# Number of attention heads, by the number of channels.
HEADS = {384: 12, 768: 12, 1024: 16, 1280: 16}
# Channels and number of layers, by variant.
_SIZES = {"s": (384, 12), "b": (768, 12), "l": (1024, 24), "h": (1280, 32)}
_EXPERTS = 6


def config_of(variant: Variant, joints: int, simple_head: bool = False) -> Any:
    """The transformers config of a published size, for inputs of 256 × 192."""
    width, depth = _SIZES[variant.removesuffix("++")]
    experts = _EXPERTS if variant.endswith("++") else 1
    shape = VitposeShape(width=width, depth=depth, heads=HEADS[width], simple_head=simple_head)
    return build_config(shape, joints, (256, 192), experts, width // 4)


def build_config(
    shape: VitposeShape, joints: int, input_hw: tuple[int, int], experts: int = 1, expert_features: int = 0
) -> Any:
    """A transformers config.

    Args:
        shape: The network's size.
        joints: Number of heatmaps.
        input_hw: Height and width of the crops, pixels.
        experts: 1 for ViTPose; for ViTPose++, the number of datasets that it was trained on.
        expert_features: The number of channels that each expert computes; the experts share the others.
    """
    library = pretrained.library()
    backbone = library.VitPoseBackboneConfig(
        image_size=list(input_hw),
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        mlp_ratio=shape.mlp_ratio,
        num_experts=experts,
        part_features=expert_features,
        layer_norm_eps=1e-6,
        out_indices=[shape.depth],
    )
    return library.VitPoseConfig(backbone_config=backbone, num_labels=joints, use_simple_decoder=shape.simple_head)


def shape_of(config: Any) -> VitposeShape:
    """The size of the network that a transformers config describes."""
    backbone = config.backbone_config
    return VitposeShape(
        width=backbone.hidden_size,
        depth=backbone.num_hidden_layers,
        heads=backbone.num_attention_heads,
        mlp_ratio=backbone.mlp_ratio,
        simple_head=config.use_simple_decoder,
    )
