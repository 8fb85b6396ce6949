"""Scales frames to the size that a network takes."""

from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional


def scaled(
    frames: UInt8[Tensor, "frames height width 3"], rows: int, columns: int
) -> Float[Tensor, "frames 3 rows columns"]:
    """Frames of another size, with values 0 to 255."""
    images = frames.permute(0, 3, 1, 2)
    # On CPUs, PyTorch scales bytes ten times faster than floats, to within one grey level; on GPUs it cannot scale
    # bytes.
    images = images if frames.device.type == "cpu" else images.float()
    if images.shape[2:] != (rows, columns):
        images = functional.interpolate(images, (rows, columns), mode="bilinear", antialias=True)
    return images.float()
