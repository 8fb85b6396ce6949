"""Jobs that run in processes of their own, for tests that look at them, wait for them and kill them."""

import time
from pathlib import Path

import psutil
import torch

# A busy machine may take a minute to start Ray.
PATIENCE_S = 200


def wait_for(job, happened):
    """Wait until `happened()` is truthy while a job runs; returns what it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while not (result := happened()):
        assert job.poll() is None, job.stdout and job.stdout.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return result


def finish(job):
    """Wait for a job to succeed; returns what it said."""
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said.decode()
    return said.decode()


def processes_below(pid, *words):
    """The processes below one whose command lines hold all the words."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if all(word in " ".join(process.cmdline()) for word in words):
                found.append(process)
        except psutil.Error:
            continue
    return found


def checkpoints(output):
    """The checkpoints of a training that are whole."""
    return list(Path(output).glob("checkpoints/*/metrics.json"))


def same_weights(first, second):
    """Whether two trainings ended with the same weights, to the bit."""
    first, second = (torch.load(Path(output, "last.pt"), weights_only=True)["weights"] for output in (first, second))
    return all(torch.equal(first[name], second[name]) for name in first)
