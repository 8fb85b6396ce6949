"""Workers of Ray that are forked from a process which has imported what they need.

A worker takes one to three seconds of a core to import Ray Data, PyTorch and Ray Train before it does anything, and a
job starts up to ten. Where the start of a worker is not the point of a test, Ray starts `order_worker.py` instead. It
sends its arguments, variables and working directory to a server of this test session, which forks the worker.
"""

import atexit
import functools
import json
import multiprocessing
import os
import runpy
import select
import socketserver
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from fork_server import fork_server

ORDER_WORKER = str(Path(__file__).with_name("order_worker.py"))
# Of a node: what Ray runs to start a worker, and to prepare one that has a runtime environment.
NODE_OPTIONS: dict[str, Any] = {"worker_path": ORDER_WORKER, "setup_worker_path": ORDER_WORKER}


class WorkerServer:
    """A process that forks workers, and ends with the tests.

    Attributes:
        pid: The number of the process: its children are the workers.
        variables: By these Ray's processes find it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="workers-")
        path = f"{self._folder.name}/socket"
        self._process = fork_server().Process(target=serve, args=(path,), daemon=True)
        self._process.start()
        while not os.path.exists(path):
            assert self._process.is_alive()
            time.sleep(0.05)
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.variables = {"FORKED_WORKERS_SOCKET": path}

    def end(self) -> None:
        """End the process; the workers end when their Ray does."""
        self._process.kill()
        self._process.join()


@functools.cache
def shared_server() -> WorkerServer:
    """The server for every Ray of this test session that needs none of its own."""
    return WorkerServer()


def fork_workers() -> None:
    """Let workers be forked in each Ray that this process starts from now on."""
    from ray._private import parameter

    parameter.RayParams = functools.partial(parameter.RayParams, **NODE_OPTIONS)  # pyright: ignore[reportAttributeAccessIssue]


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks a worker for each connection."""

    max_children = 1000

    def service_actions(self):
        """End with the tests."""
        super().service_actions()
        tests = multiprocessing.parent_process()
        if tests is None or not tests.is_alive():
            os._exit(0)


class Order(socketserver.StreamRequestHandler):
    """What the forked process does."""

    def handle(self):
        """Read what worker it shall be, and be it."""
        order = json.load(self.rfile)
        assert isinstance(self.server, Server)
        self.server.socket.close()
        self.request.close()
        become_worker(**order)


def serve(path: str) -> None:
    """Serve orders.

    Args:
        path: Of the socket.
    """
    with Server(path, Order) as server:
        server.serve_forever()


def become_worker(arguments: list[str], variables: dict[str, str], folder: str) -> None:
    """Do what the program of Ray's does in a process of its own."""
    from ray._private.workers import default_worker
    from ray._raylet import Config  # pyright: ignore[reportAttributeAccessIssue]

    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    # Ray has read its variables when it was imported.
    Config.initialize("")
    threading.Thread(target=_end_with, args=(int(variables["RAY_RAYLET_PID"]),), daemon=True).start()
    sys.argv = [default_worker.__file__, *arguments]
    try:
        runpy.run_path(default_worker.__file__, run_name="__main__")
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with(raylet: int) -> None:
    """Workers look for the process that Ray said to be theirs when it was imported, which is that of the tests."""
    select.select([os.pidfd_open(raylet)], [], [])
    os._exit(1)
