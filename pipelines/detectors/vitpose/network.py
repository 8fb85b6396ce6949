"""ViTPose and ViTPose++ from the transformers library, for any input size, and with one expert instead of six."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipelines.detectors import pretrained
from pipelines.detectors.card import DetectorCard, card_of
from pipelines.detectors.vitpose.published import filled, is_checkpoint, load_published
from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.detectors.vitpose.sizes import CLASS, PATCH, Variant, build_config, config_of
from pipelines.detectors.weights import named, parse_size, random_seed
from pipelines.io.torch_files import read_hashed, weights_in
from pipelines.io.unknown_origin import blamed
from schemas.errors import UserError
from schemas.layouts import layout

# Pixels of heatmaps for each patch of the network's features, along a side; and crops are smaller than this, pixels.
_HEATMAP_SCALE, _LARGEST_CROP = 4, 2000
# In this network, the names of weights begin with this prefix, followed by the library's names.
_OWN = "model."


class VitposeNetwork(nn.Module):
    """Maps crops to heatmaps of a quarter of their size.

    Args:
        model: A `VitPoseForPoseEstimation`, which is changed in place.
        input_wh: Width and height of the crops, pixels; None: what the model was trained on.
        dataset: Number of the dataset whose expert is used, if the model has several; 0 is COCO.

    Attributes:
        input_wh: Width and height of the crops, pixels.
        joints: Number of heatmaps.
    """

    def __init__(self, model: Any, input_wh: tuple[int, int] | None, dataset: int) -> None:
        super().__init__()
        self.model = model
        self.joints = int(model.config.num_labels)
        for layer in model.backbone.encoder.layer:
            if layer.num_experts > 1:
                layer.mlp = _of_one_expert(layer.mlp, dataset)
                layer.num_experts = 1
        height, width = model.config.backbone_config.image_size
        self.input_wh = input_wh or (width, height)
        if self.input_wh != (width, height):
            _resize(model, (width, height), self.input_wh)
        # The last layer runs in float32 even if the others do not.
        self.head: nn.Conv2d = model.head.conv
        self.head.register_forward_pre_hook(lambda module, inputs: (inputs[0].to(module.weight.dtype),))

    def cast_weights(self) -> list[nn.Parameter]:
        """Those of the blocks' matrix products; see `pipelines.training.cast_weights`."""
        products = [module for module in self.modules() if isinstance(module, nn.Linear)]
        return [weight for product in products for weight in product.parameters()]

    def forward(
        self, crops: Float[Tensor, "people 3 crop_height crop_width"]
    ) -> Float[Tensor, "people joints height width"]:
        """Predict a heatmap for each joint."""
        return self.model(crops).heatmaps.float()


@dataclass(frozen=True)
class LoadedVitpose:
    """A network with its weights.

    Attributes:
        network: On the CPU.
        sha256: Hash of the file; for random weights, of the seed and the architecture.
        card: The card that `train_detector` writes into its checkpoints; None for other weights.
    """

    network: VitposeNetwork
    sha256: str
    card: DetectorCard | None = None


def load_vitpose(
    weights: str,
    variant: Variant,
    joints: int,
    input_wh: tuple[int, int] | None,
    dataset: int,
    field: str = "detector.weights",
) -> LoadedVitpose:
    """Build the network that fits the weights, and load them into it.

    Args:
        weights: A folder, a Hugging Face name, a file of the authors or of `train_detector`, or random:SEED.
        variant: Size of a network with random weights.
        joints: Number of heatmaps of a network with random weights.
        input_wh: Width and height of the crops, pixels; None: what the weights were trained on.
        dataset: Number of the dataset whose expert of ViTPose++ is used.
        field: The option that names the weights, for messages.

    Raises:
        UserError: The weights cannot be read, or are not ViTPose's.
    """
    card = None
    if random_seed(weights) is not None:
        loaded = pretrained.random_model(weights, CLASS, config_of(variant, joints))
        # The bias puts heatmaps near 0.5, so that all joints and people score above the thresholds.
        nn.init.constant_(loaded.model.head.conv.bias, 0.5)
    elif is_checkpoint(weights):
        with named(field), blamed(weights):
            content, sha256 = read_hashed(weights, "checkpoint of ViTPose")
            card = card_of(weights, content, "vitpose")
            loaded = _trained(weights, content, card, sha256) if card else load_published(weights, content, sha256)
    else:
        loaded = pretrained.load_pretrained(weights, field, {"vitpose": CLASS})
        _require_usual(loaded.model.config, f"{field}={weights}")
    return LoadedVitpose(VitposeNetwork(loaded.model, input_wh, dataset), loaded.sha256, card)


def _require_usual(config: Any, where: str) -> None:
    """Check the options of a network that change the memory it needs, though not its weights.

    Raises:
        UserError: The sizes of patches, crops or heatmaps are not those of a ViTPose.
    """
    size, backbone = config.backbone_config.image_size, config.backbone_config
    sides = size if isinstance(size, list | tuple) and len(size) == 2 else [0]
    if any(side % PATCH or not 0 < side < _LARGEST_CROP for side in sides):
        raise UserError(f"{where}: config.json: image_size={size} must be two multiples of {PATCH} < {_LARGEST_CROP}")
    patch = backbone.patch_size if isinstance(backbone.patch_size, list | tuple) else [backbone.patch_size]
    if config.scale_factor != _HEATMAP_SCALE or set(patch) != {PATCH}:
        raise UserError(
            f"{where}: config.json: scale_factor={config.scale_factor} and patch_size={backbone.patch_size} must be "
            f"{_HEATMAP_SCALE} and {PATCH}, as those of each ViTPose"
        )


def build_vitpose(shape: VitposeShape, joints: int, input_wh: tuple[int, int]) -> VitposeNetwork:
    """A network with fresh weights, whose last layer predicts 0.

    Args:
        shape: Its size.
        joints: Number of heatmaps.
        input_wh: Width and height of the crops, pixels.
    """
    model = getattr(pretrained.library(), CLASS)(build_config(shape, joints, (input_wh[1], input_wh[0])))
    network = VitposeNetwork(model, None, 0)
    nn.init.zeros_(network.head.weight)
    assert network.head.bias is not None
    nn.init.zeros_(network.head.bias)
    return network


def _trained(weights: str, content: Mapping[str, Any], card: DetectorCard, sha256: str) -> pretrained.Pretrained:
    """The network of a checkpoint that `train_detector` wrote."""
    if card.vitpose is None:
        raise UserError(f"{weights}: the card is damaged: it lacks the network's size; copy the file again")
    width, height = parse_size(card.input_size, PATCH)
    config = build_config(card.vitpose, len(layout(card.layout)), (height, width))
    stored = weights_in(weights, content, "weights")
    tensors = {name.removeprefix(_OWN): value for name, value in stored.items() if name.startswith(_OWN)}
    return pretrained.Pretrained(filled(weights, config, tensors), sha256, {})


class _Mlp(nn.Module):
    """A feed-forward network of two layers."""

    def __init__(self, inward: nn.Linear, outward: nn.Linear, activation: nn.Module) -> None:
        super().__init__()
        self.fc1, self.fc2, self.activation = inward, outward, activation

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(tokens)))


def _of_one_expert(experts: Any, dataset: int) -> _Mlp:
    """A plain network that computes what a mixture of experts does for one dataset, without the other experts.

    Its outputs are the shared features, then those of the expert. The library computes all experts and discards all but
    one.
    """
    shared, own = experts.fc2, experts.experts[dataset]
    outward = nn.Linear(shared.in_features, shared.out_features + own.out_features)
    with torch.no_grad():
        outward.weight.copy_(torch.cat([shared.weight, own.weight]))
        outward.bias.copy_(torch.cat([shared.bias, own.bias]))
    return _Mlp(experts.fc1, outward, experts.act)


def _resize(model: Any, trained_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
    """Interpolate the position embeddings for crops of another size."""
    embeddings, (width, height) = model.backbone.embeddings, input_wh
    whole, places = embeddings.position_embeddings.split([1, embeddings.position_embeddings.shape[1] - 1], dim=1)
    grid = places.unflatten(1, (trained_wh[1] // PATCH, trained_wh[0] // PATCH)).permute(0, 3, 1, 2)
    stretched = functional.interpolate(grid, (height // PATCH, width // PATCH), mode="bicubic", align_corners=False)
    places = stretched.flatten(2).transpose(1, 2)
    embeddings.position_embeddings = nn.Parameter(torch.cat([whole, places], dim=1))
    embeddings.patch_embeddings.image_size = (height, width)
    model.config.backbone_config.image_size = (height, width)
