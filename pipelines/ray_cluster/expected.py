"""Waits for the machines that a cluster's manifest promises, before a job chooses its sizes by those that are there.

A job that begins before a cluster's workers have joined, as after its head was lost, would size itself for one CPU.
The author of a manifest knows what the cluster will have, and sets it in the environment of the driver.
"""

import logging
import math
import os
import time

import ray

from pipelines.ray_cluster.expected_names import EXPECTED, WAIT
from schemas.errors import RunFailed, UserError

# Longest wait, s: machines join and images of 10 GB arrive within minutes, or not at all.
DEFAULT_WAIT_S = 1800.0
_LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)


def wait_for_machines() -> None:
    """Wait until the cluster has what the environment promises; logs once what is missing. Without a promise: nothing.

    Raises:
        UserError: A variable is not a number.
        RunFailed: The machines have not come in time.
    """
    expected = {kind: number for kind, name in EXPECTED.items() if (number := _number(name, 0.0)) > 0}
    if not expected:
        return
    wait_s, began, has_warned = _number(WAIT, DEFAULT_WAIT_S), time.monotonic(), False
    while missing := _missing(expected):
        if time.monotonic() - began >= wait_s:
            raise RunFailed(
                f"{missing}, after {wait_s:g} s; see why workers do not start (kubectl get pods), or set "
                f"{' and '.join(EXPECTED[kind] for kind in expected)} to what there will be"
            )
        if not has_warned:
            _log.warning("waiting: %s; it begins once they are there, or fails after %g s (%s)", missing, wait_s, WAIT)
            has_warned = True
        time.sleep(_LOOK_EVERY_S)


def _missing(expected: dict[str, float]) -> str:
    """What the cluster lacks, in words; empty if it lacks nothing."""
    available = ray.cluster_resources()
    if all(available.get(kind, 0.0) >= number for kind, number in expected.items()):
        return ""
    has, promised = (
        " and ".join(f"{counts.get(kind, 0.0):g} {kind}s" for kind in expected) for counts in (available, expected)
    )
    return f"the cluster has {has} of the {promised} that it is made for"


def _number(name: str, default: float) -> float:
    text = os.environ.get(name)
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise UserError(f"{name}={text}: is no number from 0 on; give one, such as 60, or unset it")
    return number
