"""What of this machine a process may use: in a container less than the machine has."""

import math
import os
from pathlib import Path

# Where Linux says what a container may use; the second version of its files first, then the first.
_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = _CGROUP) -> float:
    """CPUs that this process may use: its affinity, and the quota of its container.

    Args:
        cgroup: Where Linux describes the container.
    """
    allowed = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    return min(allowed, _quota(cgroup))


def whole_cpus(cgroup: Path = _CGROUP) -> int:
    """`usable_cpus` as a number of processes that fill them, at least one."""
    return max(1, math.ceil(usable_cpus(cgroup)))


def usable_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Memory that this process may use: the machine's, or the limit of its container."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(machine, int((cgroup / file).read_text()))
        except (OSError, ValueError):
            continue
    return machine


def _quota(cgroup: Path) -> float:
    """CPUs that the container may use; infinite without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        first = cgroup / "cpu"
        quota_us, period_us = (int((first / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota_us / period_us if quota_us > 0 else math.inf
    except (OSError, ValueError):
        return math.inf
