"""The GPUs of this machine, and how their errors read."""

import os
import re
from pathlib import Path
from typing import Any

from schemas.errors import UserError

# What NVIDIA's kernel module says of itself.
DRIVER_FILE = Path("/proc/driver/nvidia/version")
# The oldest driver for each version of CUDA, by NVIDIA's release notes.
_OLDEST_DRIVERS = {"12": 525, "13": 580}
# How NVIDIA's libraries say that their memory is used up, beside `torch.OutOfMemoryError`.
_NO_ROOM = (
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # cuBLAS allocates when it is called for the first time
)


def gpu_names() -> list[str]:
    """Names of the GPUs that PyTorch can use."""
    import torch  # here: it takes seconds of CPU to import

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(index) for index in range(count)]


def has_gpu() -> bool:
    """Whether this machine has a GPU of a kind that is tested: PyTorch for AMD calls its GPUs cuda, too."""
    import torch

    return torch.cuda.is_available() and torch.version.hip is None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU has too little memory for what was asked of it."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_ROOM)


def begin_on(device: Any) -> None:
    """Prepare this process to compute on a device: called once by every job before it does.

    On GPUs float32 is float32, in matrix products and convolutions: no TF32. PyTorch's own choice differs between the
    two. What is to be fast computes in bf16 or fp16, which are asked for.

    Args:
        device: A torch device, or its name.

    Raises:
        UserError: The driver is too old for this PyTorch.
    """
    if not str(device).startswith("cuda"):
        return
    import torch

    require_driver(torch.version.cuda)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def require_driver(cuda: str | None) -> None:
    """Check that the driver is new enough; does nothing where there is none.

    Args:
        cuda: The version of CUDA that PyTorch is built for, such as 13.0; None: none.

    Raises:
        UserError: It is too old.
    """
    oldest = _OLDEST_DRIVERS.get((cuda or "").partition(".")[0])
    version = re.search(r"Module .*?(\d+)\.\d+", DRIVER_FILE.read_text()) if DRIVER_FILE.exists() else None
    if oldest and version and int(version[1]) < oldest:
        raise UserError(
            f"GPU: NVIDIA's driver {version[1]} is too old for this PyTorch, which is built for CUDA {cuda} and needs "
            f"{oldest} or newer; update the driver, or install PyTorch for an older CUDA (docs/install.md)"
        )


def settle_order(deterministic: bool) -> None:
    """Let this process use only algorithms with the same result every time, or again the fastest ones.

    Args:
        deterministic: Whether the results are to be the same; called before anything is computed on a GPU.
    """
    import torch

    if deterministic:
        # cuBLAS asks for this.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    # The call imports PyTorch's compiler, which takes longer than a short trial of a search.
    if deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(deterministic)
