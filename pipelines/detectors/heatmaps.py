"""Networks that predict a heatmap for each joint of a crop, and how they are prepared for fast inference."""

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

# torch.compile compiles the network anew for each batch size, so batches are padded to powers of two from this size on.
_SMALLEST_COMPILED_BATCH = 8
# GPUs compute in bf16 from this major compute capability (Ampere) on; older ones are fast in fp16 only.
_BF16_CAPABILITY = 8


@runtime_checkable
class HeatmapNet(Protocol):
    """A network on one device that maps crops to heatmaps.

    Attributes:
        layout: The joints, one heatmap each.
        input_wh: Width and height of the crops, pixels.
        stride: Crop pixels per heatmap pixel.
    """

    layout: JointLayout
    input_wh: tuple[int, int]
    stride: int

    def __call__(
        self, crops: Float[Tensor, "people 3 crop_height crop_width"]
    ) -> Float[Tensor, "people joints height width"]:
        """Predict heatmaps, float32: near 1 where the joint certainly is, 0 where it is not."""
        ...


class FastNet:
    """A network for inference; implements `HeatmapNet`.

    Args:
        network: Maps crops to heatmaps. It is changed in place: frozen, its batch norms folded, its weights cast.
        head: Its last layer, which stays in float32 because decoding compares neighbouring values.
        layout: The joints.
        input_wh: Width and height of the crops, pixels.
        device: A torch device string.
        precision: Number format of the layers before the head.
        channels_last: Whether to store weights and activations in PyTorch's channels-last memory format.
        compiled: Whether and how to compile the network.

    Raises:
        UserError: The device does not compute fast in this precision, or has no CUDA graphs.
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
        """Predict the heatmaps of a batch of crops."""
        count = len(crops)
        crops = crops.to(self._dtype, memory_format=self._memory)
        if self._compiled == "none":
            return self._network(crops)
        padded = max(_SMALLEST_COMPILED_BATCH, 1 << (count - 1).bit_length())
        maps = self._network(torch.cat([crops, crops.new_zeros(padded - count, *crops.shape[1:])]))[:count]
        # The next call of a CUDA graph overwrites the memory of this result, so the result is copied.
        return maps.clone() if self._compiled == "cuda_graphs" else maps


def resolve_precision(precision: Precision, device: str) -> torch.dtype:
    """The number format to compute in; "auto" is the fastest one of the device.

    Raises:
        UserError: The device does not compute fast in this precision.
    """
    fast = _fast_formats(device)
    if precision == "auto":
        return fast[0] if fast else torch.float32
    wanted = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if wanted not in (torch.float32, *fast):
        raise UserError(
            f"detector.precision={precision}: this {device} would only emulate it, slowly; give auto or float32"
        )
    return wanted


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm into the convolution directly before it in the same module; the outputs stay the same."""
    children = list(module.named_children())
    for (name, first), (next_name, second) in itertools.pairwise(children):
        if isinstance(first, nn.Conv2d | nn.ConvTranspose2d) and isinstance(second, nn.BatchNorm2d):
            transposed = isinstance(first, nn.ConvTranspose2d)
            setattr(module, name, fuse_conv_bn_eval(first, second, transpose=transposed))
            setattr(module, next_name, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)


def _fast_formats(device: str) -> tuple[torch.dtype, ...]:
    """The 16-bit number formats in which the device is faster than in float32, the best one first."""
    if device.startswith("cuda"):
        has_bf16 = torch.cuda.get_device_capability(device)[0] >= _BF16_CAPABILITY
        return (torch.bfloat16, torch.float16) if has_bf16 else (torch.float16,)
    # Other CPUs emulate bf16, which is two to four times slower than float32.
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return (torch.bfloat16,) if has_bf16 else ()
