"""A GPU whose memory is really used up: what is said, and that the GPU serves afterwards."""

import pytest
import torch

from pipelines.io.gpus import is_out_of_memory
from pipelines.training.failures import DeterministicFailure, to_deterministic
from pipelines.training.memory import do_in_parts

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use"),
]
# More than any GPU has, bytes.
TOO_MUCH = 2**50


def squares(parts: int, whole: int) -> torch.Tensor:
    """As a step does its work: in parts, of which only one is in memory at a time."""
    return torch.stack([torch.ones(whole // parts, dtype=torch.uint8, device="cuda").sum() for _ in range(parts)]).sum()


def test_real_exhaustion_is_recognised():
    with pytest.raises(RuntimeError) as error:
        torch.empty(TOO_MUCH, dtype=torch.uint8, device="cuda")
    assert is_out_of_memory(error.value)
    assert "optimization.accumulate" in str(to_deterministic(error.value))


def test_a_step_that_does_not_fit_says_in_how_many_parts_it_would():
    free, _ = torch.cuda.mem_get_info()
    with pytest.raises(DeterministicFailure, match=r"fits with optimization\.accumulate=\d+"):
        do_in_parts(1, 64, lambda parts: squares(parts, 2 * free), lambda: None, alone=True)
    assert squares(1, 1000).item() == 1000


def test_a_step_that_never_fits_is_one_line():
    with pytest.raises(DeterministicFailure, match="out of memory") as error:
        do_in_parts(1, 4, lambda parts: squares(parts, TOO_MUCH), lambda: None, alone=True)
    assert "\n" not in str(error.value)
