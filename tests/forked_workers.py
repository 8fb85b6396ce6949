"""Workers of Ray that are forked from a process that has imported what they import.

To start a worker Ray starts one Python after another: both import Ray, and the worker PyTorch and others besides, which
takes up to four seconds of a core. On clusters that many tests share, the first is `forked_worker.py`, which asks the
server here for a fork; what then runs is Ray's own program for workers. Other clusters have workers as Ray starts them.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUP = Path(__file__).with_name("forked_worker.py")
IMPORTED_BEFORE = (
    *("ray.data", "ray.train.torch", "ray.tune", "torch", "pandas", "pyarrow.parquet", "scipy.spatial"),
    *("pipelines.train.worker", "pipelines.train_detector.worker", "pipelines.tune.trainable"),
    *(
        "pipelines.label.decode_and_detect",
        "pipelines.label.plan",
        "pipelines.label.write",
        "pipelines.lift.lift_units",
    ),
)


@contextmanager
def forked_workers() -> Iterator[None]:
    """Fork the workers of the Ray that is started meanwhile, once it has been started."""
    import ray
    from ray._private import parameter, workers

    begin = parameter.RayParams.__init__
    parameter.RayParams.__init__ = functools.partialmethod(  # pyright: ignore[reportAttributeAccessIssue]
        begin, setup_worker_path=str(SETUP)
    )
    address = Path(tempfile.mkdtemp(prefix="forked-workers-"), "socket")
    variables = {
        "FORKED_WORKERS": str(address),
        "FORKED_WORKERS_INSTEAD": str(Path(workers.__path__[0], "setup_worker.py")),
    }
    os.environ |= variables
    try:
        yield
    finally:
        parameter.RayParams.__init__ = begin
        for name in variables:
            del os.environ[name]
    (raylet,) = ray._private.worker._global_node.all_processes["raylet"]  # pyright: ignore
    # Ray's library reads these two once, when it is imported; the second is that of a worker that is nobody's yet.
    variables = {"RAY_RAYLET_PID": str(raylet.process.pid), "RAY_JOB_ID": "f" * 8}
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    server = [sys.executable, "-m", "forked_workers", str(address)]
    subprocess.Popen(server, env=os.environ | variables | {"PYTHONPATH": path}, stdin=subprocess.DEVNULL)


def serve(address: Path) -> None:
    """Fork a worker for each that asks, as long as the raylet of the environment is there."""
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)
    raylet = int(os.environ["RAY_RAYLET_PID"])
    # It is the job that Ctrl-C is for, and ended workers need nobody to wait for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(64)
        while _lives(raylet):
            if select.select([listening], [], [], 0.5)[0]:
                _answer(listening)
    address.unlink()
    address.parent.rmdir()


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
            _work(begin["arguments"], begin["environment"], begin["folder"])
        connection.sendall(b"+")
    for file in files:
        os.close(file)


def _work(arguments: list[str], variables: dict[str, str], folder: str) -> None:
    """Be the worker: what Ray's `setup_worker.py` makes of its process."""
    from ray._private.runtime_env.context import RuntimeEnvContext

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        option = "--serialized-runtime-env-context="
        contexts = [argument.removeprefix(option) for argument in arguments if argument.startswith(option)]
        context = RuntimeEnvContext.deserialize(contexts[-1] if contexts else "{}")
        if context.command_prefix or context.override_worker_entrypoint or context.py_executable != sys.executable:
            os.execve(sys.executable, [sys.executable, variables["FORKED_WORKERS_INSTEAD"], *arguments], variables)
        sys.argv = [argument for argument in arguments if not argument.startswith((option, "--language="))]
        _take_over(variables | context.env_vars)
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
    import torch

    mine = [str(Path.cwd()), *os.environ["PYTHONPATH"].split(os.pathsep)]
    theirs = [str(Path(sys.argv[0]).parent), *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path = theirs + [folder for folder in sys.path if folder not in (*mine, *theirs)]
    os.environ.clear()
    os.environ.update(variables)
    fsspec.config.set_conf_env(fsspec.config.conf)
    torch.set_num_threads(int(variables.get("OMP_NUM_THREADS", "1")))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
