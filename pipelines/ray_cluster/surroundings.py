"""Checks what Ray needs of this machine before it starts; otherwise it waits for minutes or ends in a traceback."""

import os
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import UserError

# Longest time for a connection, and for a first answer, s. A cluster answers at once; a network that drops packets
# never does.
ANSWER_S = 7.0
# What gRPC clients such as Ray's send first: the preface of HTTP/2 and an empty SETTINGS frame (RFC 9113, section 3.4).
# The server's first frame is a SETTINGS frame too; the fourth byte of its header, the type, is 4.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HEADER_BYTES, _SETTINGS = 9, 4
# The longest path of a socket on Linux, and the characters that Ray adds to its folder:
# ray/session_DATE_TIME_PID/sockets/NAME.
_SOCKET_PATH, _RAY_ADDS = 107, 72
_LEAST_FREE_BYTES = 100 * 10**6
_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (Ray makes a folder of its own there, as it does by default)


def require_cluster(address: str) -> None:
    """Check that something answers where `RAY_ADDRESS` says that a cluster is.

    Raises:
        UserError: Nothing answers, or the address is not one of a cluster.
    """
    if address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"ray-cluster://{address}")
    if parts.scheme in ("http", "https"):
        raise UserError(
            f"RAY_ADDRESS={address}: is the address of a job server; give host:port of the cluster (as 10.0.0.1:6379), "
            "or send the job there: raylift submit"
        )
    try:
        place = parts.hostname, parts.port
    except ValueError:
        place = None, None
    host, port = place
    if host is None or port is None:
        raise UserError(f"RAY_ADDRESS={address}: is no address of a cluster; give host:port, such as 10.0.0.1:6379")
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            _require_grpc(connection)
    except OSError as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or error
        raise UserError(
            f"RAY_ADDRESS={address}: no cluster answers there: {reason}; start it, correct the address, or unset "
            "RAY_ADDRESS to work on this machine alone"
        ) from error


def _require_grpc(connection: socket.socket) -> None:
    """Check that the server speaks gRPC, unlike a forgotten server or a proxy without a backend.

    Raises:
        OSError: The server does not speak gRPC.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # with TLS, the server answers only after certificates
    connection.sendall(_HELLO)
    answer = b""
    while len(answer) < _HEADER_BYTES:
        part = connection.recv(_HEADER_BYTES - len(answer))
        if not part:
            raise ConnectionError("something else than a cluster listens there")
        answer += part
    if answer[3] != _SETTINGS:
        raise ConnectionError("something else than a cluster listens there")


def temporary_folder() -> str:
    """A folder for the files of an embedded Ray: that of `TMPDIR`, if Ray can work there.

    Raises:
        UserError: There is no such folder.
    """
    wanted = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or _FOLDERS[0]
    for folder in (wanted, *_FOLDERS):
        if len(folder) + _RAY_ADDS <= _SOCKET_PATH and _is_usable(folder):
            return f"{folder}/ray"
    raise UserError(
        f"TMPDIR={wanted}: Ray needs a folder that can be written, of at most {_SOCKET_PATH - _RAY_ADDS} characters, "
        f"with {_LEAST_FREE_BYTES / 1e6:.0f} MB of free space, and {', '.join(_FOLDERS)} are none; give another TMPDIR"
    )


def store_folder(needed_bytes: int, temporary: str) -> str:
    """A folder with room for the shared memory of an embedded Ray: in memory, or else on a disk.

    Args:
        needed_bytes: The room that Ray may use.
        temporary: What `temporary_folder` gave.

    Raises:
        UserError: There is no such folder.
    """
    folders = ("/dev/shm", os.path.dirname(temporary), *_FOLDERS)  # noqa: S108 (where Ray keeps it by default)
    for folder in folders:
        if _free_bytes(folder) > needed_bytes:
            return folder
    raise UserError(
        f"Ray needs {needed_bytes / 1e6:.0f} MB for what processes share, and none of "
        f"{', '.join(dict.fromkeys(folders))} has them; free some space, or give TMPDIR a folder "
        "that has (containers: --shm-size)"
    )


def give_token() -> None:
    """Give an embedded Ray its token by the environment if the home folder, where Ray keeps it, cannot be written.

    Containers that run as any user have such a home.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    folder = Path.home() / ".ray"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _is_usable(folder: str) -> bool:
    return _free_bytes(folder) >= _LEAST_FREE_BYTES


def _free_bytes(folder: str) -> int:
    """Free space of a folder; 0 if it cannot be written."""
    with suppress(OSError), tempfile.TemporaryFile(dir=folder):
        return shutil.disk_usage(folder).free
    return 0
