"""Limits the decoder's process to decoding: a hostile video that takes it over gets no secrets, memory or processes.

The limits are those of Linux; on other systems, those that exist apply.
"""

import ctypes
import os
import resource
import sys

# Largest address space, bytes: enough for a clip and the reference frames of 8K video.
MOST_MEMORY = 6 * 2**30
# Largest size of a file, bytes, which limits shared buffers too: 16 frames of 8K are 1.6 GB.
LARGEST_FILE = 4 * 2**30
# This constant is from linux/prctl.h.
_PR_SET_NO_NEW_PRIVS = 38
# The environment variables that the interpreter and its libraries need to start.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "SYSTEMROOT")


def environment() -> dict[str, str]:
    """The environment of the decoder's process: no credentials, and one thread for each library."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    path = os.pathsep.join(filter(None, sys.path))
    return kept | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def confine(threads: bool) -> None:
    """Give up, for ever, the rights that this process does not need.

    Args:
        threads: Whether it may start threads, which count as processes, as decord does.
    """
    limits = {"RLIMIT_AS": MOST_MEMORY, "RLIMIT_FSIZE": LARGEST_FILE, "RLIMIT_CORE": 0}
    if not threads:
        limits["RLIMIT_NPROC"] = 0
    for name, limit in limits.items():
        if hasattr(resource, name):
            kind = getattr(resource, name)
            _, most = resource.getrlimit(kind)
            limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
