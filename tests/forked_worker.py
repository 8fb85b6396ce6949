"""What a Ray of tests runs to start a worker: asks the process named by `FORKED_WORKERS` to fork one, then ends.

Imports nothing but what Python itself has loaded in some milliseconds; `forked_workers` says what it is for. Where
nobody answers, the worker is started as Ray starts one.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Hand this process's arguments, variables, folder and open files over."""
    begin = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ["FORKED_WORKERS"])
            socket.send_fds(connection, [b"+"], [0, 1, 2])
            connection.sendall(json.dumps(begin).encode())
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1):
                return
    except (KeyError, OSError):
        pass
    os.execv(sys.executable, [sys.executable, os.environ["FORKED_WORKERS_INSTEAD"], *sys.argv[1:]])


main()
