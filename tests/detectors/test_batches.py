import gc
import logging
import weakref

import numpy as np
import pytest
import torch

from pipelines.detectors.batches import Batches


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (8, [8]), (9, [5, 4]), (20, [7, 7, 6])])
def test_parts_are_as_equal_as_they_can_be(count, sizes):
    items = np.arange(count)
    parts = list(Batches(8, "frames")(count, lambda part: items[part]))
    assert [len(part) for part in parts] == sizes
    assert np.concatenate([items[:0], *parts]).tolist() == items.tolist()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_batches_shrink_until_they_fit_and_stay_small(error, caplog):
    def work(part):
        if part.stop - part.start > 3:
            raise error
        return part.stop - part.start

    batches = Batches(64, "people")
    with caplog.at_level(logging.WARNING):
        assert sum(batches(40, work)) == 40
        assert max(batches(40, work)) == 2
    assert [record.message for record in caplog.records] == [
        "40 people at once do not fit the GPU's memory: going on with 20, or fewer if need be"
    ]


def test_memory_of_a_batch_that_did_not_fit_is_freed_before_the_next_attempt():
    references = []

    def work(part):
        gc.collect()
        assert not any(each() is not None for each in references)
        tensor = torch.zeros(part.stop - part.start)
        references.append(weakref.ref(tensor))
        if len(tensor) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return len(tensor)

    assert list(Batches(8, "frames")(8, work)) == [2, 2, 2, 2]


def test_a_single_item_that_does_not_fit_and_other_errors_are_raised():
    def no_room(part):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def bug(part):
        raise RuntimeError("shapes differ")

    with pytest.raises(torch.OutOfMemoryError):
        list(Batches(8, "frames")(8, no_room))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(Batches(8, "frames")(8, bug))
