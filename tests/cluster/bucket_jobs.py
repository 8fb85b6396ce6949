"""Jobs entirely in a bucket: the server with its inputs, and jobs one after another in a process of their own."""

import io
import os
from contextlib import contextmanager

import pytest
import torch
from cluster.store_proxy import BUCKET, environment, running_store
from mlflow_store import new_store
from running_jobs import ROOT, Job

from pipelines.io import storage
from pipelines.io.stores.s3 import S3Store

INPUTS = f"s3://{BUCKET}/inputs"


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


def start_in(folder, address, *jobs, patience_s=60.0, environment=environment):
    """Start jobs, one after another, in a process that works in a folder and finds the store at the address.

    Args:
        folder: Made if it is not there; may be that of others before.
        address: Of the store.
        jobs: Each a name and its fields.
        patience_s: How long a store that fails is asked again.
        environment: The variables by which a kind of store is found.
    """
    folder.mkdir(exist_ok=True, parents=True)
    # Ray's workers start elsewhere.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = {"RAYLIFT_CACHE": str(folder / "cache"), "MLFLOW_TRACKING_URI": new_store(folder), "PYTHONPATH": path}
    return Job(*jobs, folder=folder, environment=os.environ | environment(address, patience_s) | variables)


def same_weights(*models):
    """Whether two models in the bucket hold the same weights, to the bit."""
    first, second = (torch.load(io.BytesIO(storage.read_bytes(m)), weights_only=True)["weights"] for m in models)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
