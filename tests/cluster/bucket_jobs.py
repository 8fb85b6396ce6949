"""Jobs entirely in a bucket: the server with its inputs, and processes that run jobs one after another."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from cluster.store_proxy import BUCKET, environment, running_store
from mlflow_store import new_store

from pipelines.io import storage
from pipelines.io.stores.s3 import S3Store

ROOT = Path(__file__).parents[2]
INPUTS = f"s3://{BUCKET}/inputs"
# Jobs one after another in one process: a Ray to start for all of them.
SERIES = """
import json, sys
from jobs.command_line.main import run_job
for name, *arguments in json.loads(sys.argv[1]):
    if code := run_job(name, arguments):
        raise SystemExit(code)
"""


@contextmanager
def serving(folder):
    """A server with the files of a folder in its bucket, as INPUTS; this process speaks to it too. Yields its address.

    Args:
        folder: Of this machine.
    """
    with running_store() as address, filled(INPUTS, folder, S3Store, environment(address)):
        yield address


@contextmanager
def filled(inputs, folder, store, variables):
    """A bucket that holds the files of a folder while this process finds its server by the variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        store.clear_instance_cache()
        for file in sorted(folder.rglob("*.*")):
            storage.write_bytes(f"{inputs}/{file.relative_to(folder)}", file.read_bytes())
        yield
    store.clear_instance_cache()


class Series:
    """Jobs in a process of their own, which works in a folder of its own; that may be one of others before."""

    def __init__(self, folder, address, *jobs, patience_s=60.0, environment=environment):
        folder.mkdir(exist_ok=True, parents=True)
        self.said = folder / f"said-{len(list(folder.iterdir()))}.txt"
        # Workers start elsewhere.
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        variables = environment(address, patience_s)
        variables |= {"RAYLIFT_CACHE": str(folder / "cache"), "MLFLOW_TRACKING_URI": new_store(folder)}
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERIES, json.dumps(jobs)],
                cwd=folder,
                env=os.environ | variables | {"PYTHONPATH": path},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, happened):
        """Until `happened()` is truthy."""
        deadline = time.monotonic() + 240
        while not happened():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill_once(self, happened):
        """Kill it half way."""
        self.wait_for(happened)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, code=0):
        """Wait for it; returns what it said."""
        assert self.process.wait(timeout=280) == code, self.said.read_text()
        return self.said.read_text()


def same_weights(*models):
    """Whether two models in the bucket hold the same weights, to the bit."""
    first, second = (torch.load(io.BytesIO(storage.read_bytes(m)), weights_only=True)["weights"] for m in models)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
