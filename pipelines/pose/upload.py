"""Sends what was made on the CPU to the device that trains, without making the CPU wait for it."""

import torch
from torch import Tensor


def uploaded(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device. Only from pinned memory does a copy to a GPU go on by itself."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
