"""What a Ray of tests runs to start a worker: has `forked_workers` fork it, and becomes that program if none runs yet.

Imports nothing but what Python has loaded in some milliseconds. Without a server the worker is started as Ray does it.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path


def main() -> None:
    """Hand this process's arguments, variables, folder and open files over."""
    address = Path(os.environ["FORKED_WORKERS"])
    begin = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
    try:
        address.with_name("server").symlink_to(str(os.getpid()))
    except FileExistsError:
        if _asked(address, begin):
            return
        os.execv(sys.executable, [sys.executable, os.environ["FORKED_WORKERS_INSTEAD"], *sys.argv[1:]])
    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, [str(Path(here).parent), here, os.environ.get("PYTHONPATH")]))
    variables = {"PYTHONPATH": path, "FORKED_WORKERS_FIRST": json.dumps(begin)}
    os.execve(sys.executable, [sys.executable, "-m", "forked_workers", str(address)], os.environ | variables)


def _asked(address: Path, begin: dict[str, object]) -> bool:
    """Have it forked, as soon as the server answers; False if there is none any more."""
    server = Path("/proc", os.readlink(address.with_name("server")))
    while server.exists():
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(address))
                socket.send_fds(connection, [b"+"], [0, 1, 2])
                connection.sendall(json.dumps(begin).encode())
                connection.shutdown(socket.SHUT_WR)
                return bool(connection.recv(1))
            except OSError:
                time.sleep(0.02)
    return False


main()
