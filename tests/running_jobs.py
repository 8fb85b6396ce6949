"""Jobs that run in processes of their own, for tests that look at them, wait for them and kill them.

`python -m jobs.label` takes seconds of a core to import Ray, PyTorch and MLflow before it begins. A job that is started
here is forked from a process that has imported them already: the fork server of `multiprocessing`.
"""

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psutil
import torch
from forked_workers import ALL, LABELING, forked_workers

ROOT = Path(__file__).parents[1]
# A busy machine may take a minute to start Ray.
PATIENCE_S = 200
IMPORTED_BEFORE = [
    *("jobs.label", "jobs.lift", "jobs.train", "jobs.train_detector", "jobs.tune", "jobs.evaluate_detector"),
    *("jobs.register", "jobs.import_poses", "jobs.submit"),
    *("ray.data", "ray.train.torch", "ray.tune", "ray.job_submission", "torch", "mlflow", "pandas", "optuna"),
    *("mlflow.store.tracking.sqlalchemy_store", "pyarrow.parquet", "scipy.spatial", "running_jobs"),
]


class Job:
    """One job or several, one after another, in a process of their own; speaks like `subprocess.Popen`.

    Args:
        jobs: Each a name and its fields. The first that does not end with 0 is the last that is run.
        folder: The working directory.
        environment: All variables of the process; those of this process if not given.
    """

    def __init__(
        self,
        *jobs: Sequence[object],
        folder: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        handle, name = tempfile.mkstemp(prefix="job-", suffix=".txt")
        os.close(handle)
        self.log = Path(name)
        commands = [list(map(str, job)) for job in jobs]
        arguments = (commands, str(folder), dict(environment or os.environ), name)
        self._process = _fork_server().Process(target=_run, args=arguments)
        self._process.start()
        _STARTED.append(self)

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = 300) -> int:
        """Wait until it ends; returns the exit code."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout, self.text())
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def text(self) -> str:
        """What it has printed so far, standard error included."""
        return self.log.read_text(errors="replace")


_STARTED: list[Job] = []


@atexit.register
def _end_all() -> None:
    for job in _STARTED:
        job.kill()
        job.log.unlink(missing_ok=True)


def _fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_BEFORE)
    # The server finds what it imports by this variable alone.
    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "tests"), kept]))
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if kept is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = kept
    return context


def _run(jobs: list[list[str]], folder: str, environment: dict[str, str], log: str) -> None:
    """What the forked process does."""
    import fsspec.config
    from ray._raylet import Config  # pyright: ignore[reportAttributeAccessIssue]

    from jobs.command_line.main import run_job

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(written, 1)
    os.dup2(written, 2)
    # These have read the variables when they were imported.
    Config.initialize("")
    fsspec.config.set_conf_env(fsspec.config.conf)
    if "OMP_NUM_THREADS" in environment:
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    code = 1
    try:
        with forked_workers(LABELING if {name for name, *_ in jobs} == {"label"} else ALL):
            for name, *fields in jobs:
                # Ray shows it, and looks for modules beside it.
                sys.argv = [str(ROOT / "jobs" / f"{name}.py"), *fields]
                if code := run_job(name, fields):
                    break
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait_for(job, happened):
    """Wait until `happened()` is truthy while a job runs; returns what it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while not (result := happened()):
        assert job.poll() is None, job.text()
        assert time.monotonic() < deadline, job.text()
        time.sleep(0.02)
    return result


def finish(job, code=0):
    """Wait for a job to end, with success if no other exit code is given; returns what it printed."""
    ended_with = job.wait()
    assert ended_with == code, f"exit code {ended_with}\n{job.text()}"
    return job.text()


def kill_once(job, happened):
    """Kill a job with SIGKILL as soon as `happened()` is truthy."""
    wait_for(job, happened)
    job.kill()
    job.wait()


def processes_below(pid, *words):
    """The processes below one whose command lines hold all the words."""
    processes = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if all(word in " ".join(process.cmdline()) for word in words):
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def checkpoints(output):
    """The checkpoints of a training that are whole."""
    return list(Path(output).glob("checkpoints/*/metrics.json"))


def same_weights(first, second):
    """Whether two trainings ended with the same weights, to the bit."""
    first, second = (torch.load(Path(output, "last.pt"), weights_only=True)["weights"] for output in (first, second))
    return all(torch.equal(first[name], second[name]) for name in first)
