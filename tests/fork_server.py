"""A process that has imported what jobs and workers of Ray need: they are forked from it, and save seconds of a core.

It is the fork server of `multiprocessing`, which starts with the first process that a test asks for.
"""

import multiprocessing
import multiprocessing.forkserver
import os
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED_BEFORE = [
    *("jobs.label", "jobs.lift", "jobs.train", "jobs.train_detector", "jobs.tune", "jobs.evaluate_detector"),
    *("jobs.register", "jobs.import_poses", "jobs.submit"),
    *("pipelines.label.pipeline", "pipelines.lift.pipeline", "pipelines.evaluate_detector.pipeline"),
    *("pipelines.train.worker", "pipelines.train_detector.worker", "pipelines.tune.search"),
    *("ray.data", "ray.train.torch", "ray.tune", "ray.job_submission", "ray._private.workers.default_worker"),
    *("torch", "mlflow", "pandas", "optuna", "running_jobs", "forked_workers"),
    *("mlflow.store.tracking.sqlalchemy_store", "pyarrow.parquet", "scipy.spatial"),
]
# What Ray reads once, when it is imported: a worker belongs to no job until it has work.
VARIABLES = {"RAY_JOB_ID": "ffffffff", "RAY_RAYLET_PID": str(os.getpid()), "OMP_NUM_THREADS": "1"}


def fork_server() -> ForkServerContext:
    """The context whose processes are forked from the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_BEFORE)
    # The server finds what it imports by this variable alone.
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    with _variables(VARIABLES | {"PYTHONPATH": path}):
        multiprocessing.forkserver.ensure_running()
    return context


@contextmanager
def _variables(changes: dict[str, str]):
    kept = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(kept)
