"""A lifter whose weights are never trained: a mask chooses which of its random weights are used (edge-popup).

Its file stores the seed of the weights, one bit for each of them, and the few trained numbers: the last layer,
layers that are too small to be masked, and position embeddings. Normalisation has no weights of its own.
"""

import hashlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from pipelines.lifters.base import WithStatistics, build_lifter, needs_statistics
from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.lifters.edge_popup import MaskedWeight, keep_mask, mask_layer
from pipelines.lifters.supermask_options import SupermaskConfig
from schemas.errors import UserError
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout

# Layers with fewer outputs than this are trained, not masked, such as the two shares by which streams are fused.
_FEWEST_OUTPUTS = 8
_SCORES, _MASK = "parametrizations.weight.original", "mask"
_DIGEST = "masked_weights_sha256"
# The scores that a loaded mask starts with, so that training can continue from it.
_KEPT, _DROPPED = 1.0, 0.5


class Supermask(nn.Module):
    """Another lifter with masked weights; implements `pipelines.lifters.base.Lifter`.

    Args:
        config: The options, a `SupermaskConfig`.
        input_layout: Joints of the keypoints.
        output_layout: Joints to predict.

    Raises:
        UserError: The other lifter has no linear layers to mask.
    """

    Config: ClassVar[type[JobConfig]] = SupermaskConfig

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        assert isinstance(config, SupermaskConfig)
        super().__init__()
        self.inner = build_lifter(config.inner, input_layout, output_layout)
        self.input_layout, self.output_layout = input_layout, output_layout
        self.window, self.input_features = self.inner.window, self.inner.input_features
        assert isinstance(self.inner, nn.Module)
        linear = [(name, module) for name, module in self.inner.named_modules() if isinstance(module, nn.Linear)]
        masked = [(name, module) for name, module in linear[:-1] if module.out_features >= _FEWEST_OUTPUTS]
        if not masked:
            raise UserError(
                f"lifter.inner.name={config.inner.name}: has no linear layers besides its last, so that there is "
                "nothing to mask; wrap another lifter"
            )
        for name, module in masked:
            mask_layer(module, name, config.share, config.weights_seed)
        for module in self.inner.modules():
            if isinstance(module, BatchNormActivation | _BatchNorm | nn.LayerNorm):
                _take_weights(module)

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames_out joints_out 3"]:
        """Lift as the inner lifter does."""
        return self.inner(inputs)

    @property
    def needs_statistics(self) -> bool:
        """Whether the inner lifter needs statistics."""
        return needs_statistics(self.inner)

    def fit_statistics(
        self,
        inputs: Float[Tensor, "batch frames joints_in features"],
        positions: Float[Tensor, "batch frames_out joints_out 3"],
    ) -> None:
        """Set the statistics of the inner lifter."""
        assert isinstance(self.inner, WithStatistics)
        self.inner.fit_statistics(inputs, positions)


def _take_weights(normalisation: nn.Module) -> None:
    """Leave a normalisation without weights of its own, as edge-popup does; what is stored keeps its names."""
    for name, parameter in list(normalisation.named_parameters(recurse=False)):
        delattr(normalisation, name)
        if isinstance(normalisation, _BatchNorm):
            normalisation.affine = False  # as PyTorch knows it, whose conversion for several GPUs asks for it
            normalisation.register_parameter(name, None)
        else:
            normalisation.register_buffer(name, parameter.detach())


def multiplied_out(model: nn.Module) -> Any:
    """The same model with plain weights, which are faster to use; the model itself if it has no masked ones."""
    if not any(parametrize.is_parametrized(module) for module in model.modules()):
        return model
    plain = deepcopy(model)
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module):
            # `remove_parametrizations` would also remove the weight of the original model, which shares the copy's
            # class.
            weight = cast(nn.Linear, module).weight.detach()
            module.__class__ = type(module).__bases__[0]
            del module._modules["parametrizations"]
            module.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
    return plain


def stored_form(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model as they are stored: only names and shapes, without values."""
    weights, layers = dict(model.state_dict()), list(_masked_layers(model))
    for name, masked in layers:
        del weights[f"{name}.{_SCORES}"]
        weights[f"{name}.{_MASK}"] = torch.empty(-(-masked.constants.numel() // 8), dtype=torch.uint8, device="meta")
    return weights | ({_DIGEST: torch.empty(32, dtype=torch.uint8, device="meta")} if layers else {})


def packed(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model as they are stored: one bit in place of each score, and a hash of the masked weights."""
    weights, layers = dict(model.state_dict()), list(_masked_layers(model))
    for name, masked in layers:
        mask = keep_mask(weights.pop(f"{name}.{_SCORES}"), masked.dropped)
        bits = np.packbits(mask.cpu().numpy().ravel(), bitorder="little")
        weights[f"{name}.{_MASK}"] = torch.from_numpy(bits)
    if layers:
        weights[_DIGEST] = _digest(dict(_masks("", model, weights)), model)
    return weights


def unpacked(uri: str, model: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights of a model as it takes them, from those that are stored.

    Raises:
        UserError: Masks are damaged, or are for other weights than the model's.
    """
    if _DIGEST not in weights:
        return weights
    unpacked_weights = {name: value for name, value in weights.items() if name != _DIGEST}
    masks = dict(_masks(uri, model, weights))
    if not torch.equal(_digest(masks, model), weights[_DIGEST]):
        raise UserError(
            f"{uri}: its mask and seed give other weights than those that were trained; the file is damaged, or "
            "written by another version: copy it again, or train it again"
        )
    for name, mask in masks.items():
        del unpacked_weights[f"{name}.{_MASK}"]
        unpacked_weights[f"{name}.{_SCORES}"] = torch.where(mask, _KEPT, _DROPPED)
    return unpacked_weights


def _masks(uri: str, model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The mask of each layer, from its bits."""
    for name, masked in _masked_layers(model):
        count, bits = masked.constants.numel(), weights[f"{name}.{_MASK}"]
        if bits.dtype != torch.uint8:
            raise UserError(f"{uri}: the mask of {name} is not of bits; copy the file again")
        mask = np.unpackbits(bits.cpu().numpy(), count=count, bitorder="little").astype(bool)
        if count - int(mask.sum()) != masked.dropped:
            raise UserError(f"{uri}: the mask of {name} does not keep lifter.share of the weights; copy the file again")
        yield name, torch.from_numpy(mask).view_as(masked.constants)


def _digest(masks: Mapping[str, Tensor], model: nn.Module) -> Tensor:
    """SHA-256 of all masked weights, as bytes."""
    digest = hashlib.sha256()
    for name, masked in _masked_layers(model):
        digest.update((masked.constants.cpu() * masks[name]).numpy().astype("<f4").tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _masked_layers(model: nn.Module) -> Iterator[tuple[str, MaskedWeight]]:
    """The layers with masked weights, by name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, "weight"):
            masked = module.get_submodule("parametrizations.weight.0")
            assert isinstance(masked, MaskedWeight)
            yield name, masked
