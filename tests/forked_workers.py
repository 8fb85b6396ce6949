"""Workers of Ray that are forked from a process that has imported PyTorch and others, which take longest to import.

To start a worker Ray starts one Python after another: both import Ray, and the worker PyTorch and others besides, which
takes up to four seconds of a core. In tests the first is `forked_worker.py`. The first of them becomes the server here,
as `python -m forked_workers`; it forks a worker for itself and for each that asks later. What then runs is Ray's own
program for workers. Clusters that commands, nodes and job servers start have workers as Ray starts them.

Each worker imports Ray itself: forks of a process that has imported it draw the same "random" ids, and of two that
start at the same time one ends ("Seal() called on an object without a reference to it").
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LABELING = ("numpy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "scipy.spatial", "pydantic", "fsspec", "av", "cv2")
# The first step of an optimizer imports the compiler.
ALL = (*LABELING, "torch", "torch.distributed", "torch.nn.parallel", "torch._dynamo")


@contextmanager
def forked_workers(modules: tuple[str, ...] = ALL) -> Iterator[None]:
    """Have workers of the Ray that is started meanwhile forked from a process that has imported these modules."""
    from ray._private import parameter, workers

    begin = parameter.RayParams.__init__
    changed = functools.partialmethod(begin, setup_worker_path=str(Path(__file__).with_name("forked_worker.py")))
    parameter.RayParams.__init__ = changed  # pyright: ignore[reportAttributeAccessIssue]
    folder = tempfile.mkdtemp(prefix="forked-workers-")
    # The server removes it too, unless it was killed or never needed.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    variables = {
        "FORKED_WORKERS": str(Path(folder, "socket")),
        "FORKED_WORKERS_IMPORT": ",".join(modules),
        "FORKED_WORKERS_INSTEAD": str(Path(workers.__path__[0], "setup_worker.py")),
    }
    os.environ |= variables
    try:
        yield
    finally:
        parameter.RayParams.__init__ = begin
        for name in variables:
            os.environ.pop(name, None)


def serve(address: Path) -> None:
    """Fork a worker for each that asks, as long as the raylet is there that has started this process."""
    first = json.loads(os.environ.pop("FORKED_WORKERS_FIRST"))
    raylet = int(os.environ["RAY_RAYLET_PID"])
    # The raylet kills the group of each process that it has started once the worker ends.
    os.setpgid(0, os.getpgid(raylet))
    for name in os.environ["FORKED_WORKERS_IMPORT"].split(","):
        importlib.import_module(name)
    assert "ray" not in sys.modules
    gc.freeze()
    # It is the job that Ctrl-C is for, and ended workers need nobody to wait for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(64)
        if not os.fork():
            listening.close()
            _work(**first)
        while _lives(raylet):
            if select.select([listening], [], [], 0.5)[0]:
                _answer(listening)
    shutil.rmtree(address.parent, ignore_errors=True)


def _lives(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _answer(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as stream:
            begin = json.loads(stream.read())
        if not os.fork():
            listening.close()
            connection.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            _work(**begin)
        connection.sendall(b"+")
    for file in files:
        os.close(file)


def _work(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Be the worker: what Ray's `setup_worker.py` makes of its process."""
    code = 1
    os.setpgid(0, 0)
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        option = "--serialized-runtime-env-context="
        contexts = [argument.removeprefix(option) for argument in arguments if argument.startswith(option)]
        # Read as JSON, because Ray must not be imported before this process has the worker's variables.
        context = json.loads(contexts[-1] if contexts else "{}")
        own_program = context.get("command_prefix") or context.get("override_worker_entrypoint")
        if own_program or context.get("py_executable", sys.executable) != sys.executable:
            os.execve(sys.executable, [sys.executable, environment["FORKED_WORKERS_INSTEAD"], *arguments], environment)
        sys.argv = [argument for argument in arguments if not argument.startswith((option, "--language="))]
        _take_over(environment | context.get("env_vars", {}))
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _take_over(variables: dict[str, str]) -> None:
    """Take other variables, also where they were read by an import."""
    import fsspec.config

    mine = [str(Path.cwd()), *os.environ["PYTHONPATH"].split(os.pathsep)]
    theirs = [str(Path(sys.argv[0]).parent), *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path = theirs + [folder for folder in sys.path if folder not in (*mine, *theirs)]
    os.environ.clear()
    os.environ.update(variables)
    fsspec.config.set_conf_env(fsspec.config.conf)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(variables.get("OMP_NUM_THREADS", "1")))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
