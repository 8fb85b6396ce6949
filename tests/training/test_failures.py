"""Failures that a retry could mend are told from those that would come again."""

import pickle

import pytest
import torch
from ray.exceptions import ActorDiedError

from pipelines.training.channel import Channel, Instructions
from pipelines.training.failures import DeterministicFailure, Diverged, to_deterministic
from pipelines.tune.trial_training import why_hopeless
from schemas.errors import RunFailed, UserError


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("pelvis"), r"training: KeyError: 'pelvis' \(test_failures\.py:\d+\)"),
        (torch.OutOfMemoryError("CUDA out of memory"), "training: out of memory .CUDA out of memory.; give a larger"),
        (torch.AcceleratorError("CUDA error: out of memory"), "training: out of memory .CUDA error: out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED"), "training: out of memory"),
        (MemoryError(), r"training: out of memory \(MemoryError\)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "training: out of memory"),
        (RuntimeError("mat1 and mat2\nshapes cannot be multiplied"), "mat2 shapes cannot be multiplied"),
    ],
)
def test_an_exception_of_python_is_told_in_a_line_and_not_tried_again(error, message):
    failure = to_deterministic(raised(error))
    assert failure is not None
    with pytest.raises(DeterministicFailure, match=message):
        raise pickle.loads(pickle.dumps(failure))
    assert why_hopeless(failure) == str(failure)


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        torch.distributed.DistNetworkError("connection closed"),
        RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer"),
        ConnectionResetError(),
    ],
)
def test_a_lost_process_is_worth_a_retry(error):
    assert to_deterministic(raised(error)) is None


def test_which_trials_are_hopeless():
    assert why_hopeless(Diverged("the loss is not finite")) == "the loss is not finite"
    assert why_hopeless(UserError("no such joint")) == "no such joint"
    assert why_hopeless(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
    assert why_hopeless(RunFailed("training: the workers failed 4 times")) is None
    assert why_hopeless(ActorDiedError()) is None


def test_workers_that_replace_failed_ones_are_told_to_stop():
    channel = Channel.__ray_metadata__.modified_class(Instructions(epochs=3))  # pyright: ignore[reportAttributeAccessIssue]
    assert channel.send("a report") == Instructions(epochs=3)
    channel.send(Diverged("the loss is not finite"))
    channel.instruct(Instructions(epochs=4))
    assert channel.send(None) == Instructions(epochs=4, stop=True)
