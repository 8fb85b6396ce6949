"""Steps that do not fit the memory of a GPU say in how many parts they would."""

import pytest
import torch

from pipelines.training.failures import DeterministicFailure
from pipelines.training.memory import do_in_parts


class Device:
    """Work that fits from so many parts on; another kind of error with so many."""

    def __init__(self, fits: int, breaks: int = 0) -> None:
        self.fits, self.breaks = fits, breaks
        self.tries: list[int] = []
        self.forgotten = 0

    def do(self, parts: int) -> str:
        self.tries.append(parts)
        if parts == self.breaks:
            raise RuntimeError("an illegal memory access was encountered")
        if parts < self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to\nallocate 2 GiB")
        return "done"

    def forget(self) -> None:
        self.forgotten += 1

    def __call__(self, parts: int, most: int = 64, alone: bool = True) -> str:
        return do_in_parts(parts, most, self.do, self.forget, alone)


def test_what_fits_is_done_once():
    device = Device(fits=1)
    assert device(1) == "done"
    assert device.tries == [1]


def test_what_would_fit_is_tried_and_named():
    device = Device(fits=5)
    with pytest.raises(
        DeterministicFailure, match=r"^training: out of memory \(CUDA out of memory. Tried to allocate"
    ) as e:
        device(1)
    assert "this batch fits with optimization.accumulate=8" in str(e.value)
    assert device.tries == [1, 2, 4, 8]
    assert device.forgotten == 3


@pytest.mark.parametrize(("most", "alone", "tries"), [(6, True, [1, 2, 4, 6]), (64, False, [1])])
def test_what_fits_in_no_parts_is_one_line(most, alone, tries):
    device = Device(fits=100)
    with pytest.raises(DeterministicFailure, match=r"give a larger optimization\.accumulate, a smaller"):
        device(1, most, alone)
    assert device.tries == tries, "others would wait for a worker that tries"


def test_other_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="illegal memory access"):
        Device(fits=3, breaks=2)(1)
