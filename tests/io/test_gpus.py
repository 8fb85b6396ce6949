"""What is stated once for all that computes on GPUs."""

import os

import pytest
import torch

from pipelines.evaluate.plan import choose_device
from pipelines.io import gpus
from pipelines.io.gpus import begin_on, is_out_of_memory, require_driver, settle_order
from schemas.errors import UserError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) == expected


def test_auto_takes_no_device_that_was_never_tested(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert choose_device("auto").type == "cpu", "PyTorch for AMD calls its GPUs cuda, too"


def test_float32_is_float32():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    begin_on("cpu")
    assert torch.backends.cudnn.allow_tf32, "it is for GPUs"
    begin_on(torch.device("cuda:1"))
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_the_same_order_every_time_or_the_fastest(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    try:
        settle_order(True)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "what the user has set is kept"
        settle_order(False)
        assert not torch.are_deterministic_algorithms_enabled()
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
        settle_order(True)
        assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8", "cuBLAS asks for it"
    finally:
        settle_order(False)


@pytest.mark.parametrize(
    ("cuda", "driver", "refused"),
    [
        ("13.0", "535.104.05", True),
        ("13.0", "580.65.06", False),
        ("12.6", "535.104.05", False),
        ("12.6", "470.256.02", True),
        (None, "470.256.02", False),
    ],
)
def test_a_driver_that_is_too_old_is_one_line(monkeypatch, tmp_path, cuda, driver, refused):
    file = tmp_path / "version"
    monkeypatch.setattr(gpus, "DRIVER_FILE", file)
    require_driver(cuda)
    file.write_text(
        f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Sat Aug 19 01:15:15 UTC 2023\nGCC version: 12"
    )
    if not refused:
        require_driver(cuda)
        return
    with pytest.raises(
        UserError, match=rf"^GPU: NVIDIA's driver {driver[:3]} is too old .* CUDA {cuda} and needs \d+ or"
    ):
        require_driver(cuda)


def test_the_open_kernel_modules_are_read_too(monkeypatch, tmp_path):
    file = tmp_path / "version"
    file.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n")
    monkeypatch.setattr(gpus, "DRIVER_FILE", file)
    with pytest.raises(UserError, match="driver 570 is too old"):
        require_driver("13.0")
