"""The CPUs and memory that a process may use, which containers and batch systems limit."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Where Linux describes control groups (cgroups) with their limits, and where it names those of a process.
_CGROUP, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cpus(cgroup: Path = _CGROUP, own: Path = _OWN) -> float:
    """CPUs that this process may use: its affinity, and the quotas of its container and of all groups around it.

    Args:
        cgroup: Where Linux describes the groups.
        own: Where Linux says in which of them this process is.
    """
    allowed = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    return min(allowed, *map(_quota, _groups(cgroup, own, "cpu")))


def whole_cpus(cgroup: Path = _CGROUP, own: Path = _OWN) -> int:
    """`usable_cpus` as a number of processes that fill them, at least one."""
    return max(1, math.ceil(usable_cpus(cgroup, own)))


def usable_memory_bytes(cgroup: Path = _CGROUP, own: Path = _OWN) -> int:
    """Memory that this process may use: the machine's, or the least limit of its container and the groups around it.

    Args:
        cgroup: Where Linux describes the groups.
        own: Where Linux says in which of them this process is.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [machine]
    for group in _groups(cgroup, own, "memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limits.append(int((group / file).read_text()))
    return min(limits)


def _groups(cgroup: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups of this process, in both versions of cgroups, from the outermost on.

    In most containers the outermost is the container's own, and the others do not show there.
    """
    yield cgroup
    yield cgroup / controller
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        folder = cgroup / controller if controllers else cgroup
        for part in path.strip("/").split("/"):
            folder = folder / part
            yield folder


def _quota(group: Path) -> float:
    """CPUs that a group may use; infinite without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us, period_us = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota_us / period_us if quota_us > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
