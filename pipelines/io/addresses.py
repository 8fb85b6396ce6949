"""Addresses that mean the same in every process of this machine, whatever its working directory.

The module loads neither fsspec nor PyArrow: every command line is read with it.
"""

import os
from urllib.parse import unquote

# Model names look like paths and are none.
_MODEL_NAMES = ("models:", "runs:")


def absolute_path(address: str) -> str:
    """An address with its path made absolute, if it is a path on this machine.

    URIs and model names (`models:/lifter@champion`, `runs:/…`) are returned as they are, and a glob stays a glob.
    """
    if address.startswith("file://"):
        return local_path(address)
    if not address or "://" in address or address.startswith(_MODEL_NAMES):
        return address
    return local_path(address)


def local_path(address: str) -> str:
    """The absolute path of a bare path or a `file://` URI.

    In a URI, %20 is a space; a bare path is taken as it is.
    """
    if address.startswith("file://"):
        address = unquote(address.removeprefix("file://").removeprefix("localhost"))
    return os.path.abspath(os.path.expanduser(address))
