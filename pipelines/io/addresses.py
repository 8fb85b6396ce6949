"""Addresses that mean the same in every process of this machine, whatever its working directory.

The module loads neither fsspec nor PyArrow: every command line is read with it.
"""

import errno
import os
import stat
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from schemas.errors import UserError

# MLflow's names of models and runs look like paths, but are not.
_MODEL_NAMES = ("models:", "runs:", "experiments:")
# This name stands for all hosts of web servers.
ANY_HOST = "*"


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


def require_file(path: str) -> None:
    """Check that a path is not a named pipe, socket or device, because reading it may never end.

    Raises:
        OSError: The path is not a file.
    """
    kind = os.stat(path).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.EINVAL, "is a named pipe or a device, no file", path)


def is_on_this_machine(address: str) -> bool:
    """Whether an address is a path on this machine."""
    return "://" not in address or address.startswith(("/", "file://"))


def host_of(address: str) -> str:
    """The host of a web address; empty if it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def named_hosts(addresses: str | Sequence[str], allow_private: bool) -> tuple[str, ...]:
    """The hosts of web servers that may have private addresses: those that the command line names, or any."""
    if allow_private:
        return (ANY_HOST,)
    named = [addresses] if isinstance(addresses, str) else addresses
    return tuple(sorted({host_of(address) for address in named} - {""}))


def inside(folder: str, name: str) -> str:
    """The URI of a file that is named in data, and must lie in a folder that the command line names.

    Raises:
        UserError: The name leads out of the folder.
    """
    if name.startswith("/") or "://" in name or "\\" in name or ".." in name.split("/"):
        raise UserError(f"{name}: leads out of {folder}, where files are looked for; name files relative to it")
    return f"{folder.rstrip('/')}/{name}"


def require_nameable(address: str, source: str) -> None:
    """Check an address that is named in data: only local files may name local files.

    Args:
        address: The address.
        source: Where the data are.

    Raises:
        UserError: A remote list names a file of this machine.
    """
    if is_on_this_machine(address) and not is_on_this_machine(source):
        raise UserError(f"{address}: is a file of this machine, which {source} cannot know; name remote files there")


def require_no_web_server(address: str, source: str) -> None:
    """Check an address that a run or an output names: data must not choose who is asked, and no job writes to the web.

    Args:
        address: The address.
        source: What names it.

    Raises:
        UserError: The address is one of a web server, such as a service of a cloud that answers this machine alone.
    """
    if address.lower().startswith(("http:", "https:")):
        raise UserError(f"{address}: {source} names a web server, which is not asked; give what is there yourself")
