"""Nets that answer a crop with a heatmap for each joint, and how they are made fast on the device that runs them."""

import itertools
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from schemas.errors import UserError
from schemas.layouts import JointLayout

Precision = Literal["auto", "float32", "bf16", "fp16"]
Compile = Literal["none", "default", "cuda_graphs"]

# A compiled net is compiled again for every number of crops: batches are filled up to one of few numbers.
_FEWEST_CROPS = 8
# GPUs of this generation (Ampere) and later have bf16; those before have fp16 alone.
_BF16_GENERATION = 8


@runtime_checkable
class HeatmapNet(Protocol):
    """Crops to heatmaps, on one device.

    Attributes:
        layout: The joints, one heatmap each.
        input_wh: Width and height of the crops, pixels.
        stride: Pixels of the crop for one of the heatmap.
    """

    layout: JointLayout
    input_wh: tuple[int, int]
    stride: int

    def __call__(
        self, crops: Float[Tensor, "people 3 crop_height crop_width"]
    ) -> Float[Tensor, "people joints height width"]:
        """Heatmaps in float32; 1 is certain, 0 is nothing."""
        ...


class FastNet:
    """A network for inference; implements `HeatmapNet`.

    Args:
        network: Crops to heatmaps; taken over and changed: frozen, batch norms folded, cast.
        head: Its last layer, which stays in float32: decoding compares neighbouring values.
        layout: The joints.
        input_wh: Width and height of the crops, pixels.
        device: Where to run.
        precision: What the rest of the network runs in.
        channels_last: Lay out its filters pixel by pixel.
        compiled: Whether and how to compile it.

    Raises:
        UserError: The device cannot compute in this precision, or has no CUDA graphs.
    """

    def __init__(
        self,
        network: nn.Module,
        head: nn.Module,
        layout: JointLayout,
        input_wh: tuple[int, int],
        device: str,
        precision: Precision,
        channels_last: bool,
        compiled: Compile,
    ) -> None:
        self.layout = layout
        self.input_wh = input_wh
        self.stride = 4
        self._dtype = resolve_precision(precision, device)
        self._memory = torch.channels_last if channels_last else torch.contiguous_format
        self._compiled = compiled
        network.eval().requires_grad_(False)
        fold_batch_norms(network)
        network.to(device, self._dtype)
        network.to(memory_format=self._memory)  # pyright: ignore[reportCallIssue] (the stubs lack it)
        head.float()
        if compiled == "cuda_graphs" and not device.startswith("cuda"):
            raise UserError("detector.compile=cuda_graphs: the detector runs on a CPU; give default or none")
        mode = "reduce-overhead" if compiled == "cuda_graphs" else "default"
        self._network = network if compiled == "none" else torch.compile(network, mode=mode, dynamic=False)

    def __call__(
        self, crops: Float[Tensor, "people 3 crop_height crop_width"]
    ) -> Float[Tensor, "people joints height width"]:
        """Heatmaps of a batch."""
        count = len(crops)
        crops = crops.to(self._dtype, memory_format=self._memory)
        if self._compiled == "none":
            return self._network(crops)
        filled = max(_FEWEST_CROPS, 1 << (count - 1).bit_length())
        maps = self._network(torch.cat([crops, crops.new_zeros(filled - count, *crops.shape[1:])]))[:count]
        # A CUDA graph writes its next answer where this one lies.
        return maps.clone() if self._compiled == "cuda_graphs" else maps


def resolve_precision(precision: Precision, device: str) -> torch.dtype:
    """The number format to compute in; "auto" is the fastest of float32, bf16 and fp16 that the device has.

    Raises:
        UserError: The device lacks it.
    """
    fast = _fast_formats(device)
    if precision == "auto":
        return fast[0] if fast else torch.float32
    wanted = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if wanted not in (torch.float32, *fast):
        raise UserError(
            f"detector.precision={precision}: this {device} lacks it and would be slow; give auto or float32"
        )
    return wanted


def fold_batch_norms(module: nn.Module) -> None:
    """Put every batch norm into the convolution that it follows among its module's children; same result."""
    children = list(module.named_children())
    for (name, first), (next_name, second) in itertools.pairwise(children):
        if isinstance(first, nn.Conv2d | nn.ConvTranspose2d) and isinstance(second, nn.BatchNorm2d):
            transposed = isinstance(first, nn.ConvTranspose2d)
            setattr(module, name, fuse_conv_bn_eval(first, second, transpose=transposed))
            setattr(module, next_name, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)


def _fast_formats(device: str) -> tuple[torch.dtype, ...]:
    """Formats of half the width that the device computes in faster, the best one first."""
    if device.startswith("cuda"):
        modern = torch.cuda.get_device_capability(device)[0] >= _BF16_GENERATION
        return (torch.bfloat16, torch.float16) if modern else (torch.float16,)
    # Elsewhere bf16 is emulated, and two to four times slower than float32.
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return (torch.bfloat16,) if has_bf16 else ()
