"""Sends tensors from the CPU to the device that trains, without making the CPU wait."""

import torch
from torch import Tensor


def uploaded(values: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to a device. Pinned memory is used, because only from there a copy to a GPU is asynchronous."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
