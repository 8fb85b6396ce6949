"""What `submit` sends: a job's command as an order for a Ray cluster or for Kubernetes, after all checks made here."""

import getpass
import re
import secrets
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.command_line import durability
from jobs.command_line.arguments import merge_arguments, read_config
from jobs.command_line.job_list import config_class
from jobs.command_line.ordered_version import ORDERED_BY
from pipelines.io.secrets import redact
from pipelines.kubernetes.rayjob import KubernetesOrder, require_fit
from pipelines.ray_cluster.submitted_jobs import JOB_KEY, USER_KEY, Order
from schemas import __version__
from schemas.configs.submit import SubmitConfig
from schemas.errors import UserError
from schemas.job_config import flatten
from schemas.typed_text import write as write_text

# These fields have a meaning only for Ray clusters, not for Kubernetes.
_OF_RAY = ("address", "cpus", "memory_gb", "placed_on", "working_dir", "includes", "excludes")
# Environment variables with the addresses of MLflow servers, which are passed on to the job.
SERVERS = (durability.TRACKING, "MLFLOW_REGISTRY_URI")


def compose(config: SubmitConfig, environment: dict[str, str]) -> Order:
    """The job as it is submitted to the cluster.

    Raises:
        UserError: The job's command line is wrong, or would leave its results on the cluster.
    """
    assert config.job is not None
    model = config_class(config.job)
    values = flatten(merge_arguments(model, config.arguments))  # recipes included, whose files the cluster may lack
    # The job checks the same later. Checking it here shows the error at once, on this machine.
    durability.require_durable_output(read_config(model, config.arguments, resolve=str))
    command = [
        "python",
        "-m",
        f"jobs.{config.job}",
        *(f"{name}={write_text(name, value)}" for name, value in values.items()),
    ]
    _require_no_secrets(command)
    runtime: dict[str, Any] = {"env_vars": _variables(config, environment)}
    if folder := config.working_dir or _clone():
        runtime["working_dir"] = folder
    return Order(
        id=f"{config.job.replace('_', '-')}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
        entrypoint=shlex.join(command),
        runtime_env=runtime,
        metadata={JOB_KEY: config.job, "raylift.version": __version__, USER_KEY: getpass.getuser()},
        cpus=config.cpus,
        memory_bytes=None if config.memory_gb is None else int(config.memory_gb * 10**9),
        resources={config.placed_on: 0.001} if config.placed_on else None,
        includes=config.includes,
        excludes=config.excludes,
    )


def compose_for_kubernetes(config: SubmitConfig, environment: dict[str, str]) -> KubernetesOrder:
    """The job as KubeRay runs it, after the checks of `compose`.

    Raises:
        UserError: A check fails, the image is missing or of another version, or the pods are too few for the job.
    """
    if config.image is None:
        raise UserError("kubernetes: needs the image of Raylift; give image=registry.example.com/raylift:…")
    tag = config.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    if re.fullmatch(r"\d+\.\d+\.\d+", tag) and tag != __version__:
        raise UserError(
            f"image={config.image}: is version {tag}, this is {__version__}; build the image of this version"
        )
    if given := [name for name in _OF_RAY if getattr(config, name)]:
        raise UserError(f"kubernetes: takes no {given[0]}, which is for a Ray cluster (address=…); leave it out")
    whole = compose(config.model_copy(update={"address": f"kubernetes={config.kubernetes}"}), environment)
    assert config.job is not None
    variables = dict(whole.runtime_env["env_vars"])
    if config.schedule:  # it runs for months, in which somebody may put a newer image into its manifest
        del variables[ORDERED_BY]
    order = KubernetesOrder(
        job=config.job,
        entrypoint=whole.entrypoint,
        image=config.image,
        namespace=config.namespace,
        cpu_workers=config.cpu_workers,
        gpu_workers=config.gpu_workers,
        variables=variables,
        queue=config.queue,
        user=whole.metadata[USER_KEY],
    )
    job = read_config(config_class(config.job), config.arguments, resolve=str)
    if (resources := getattr(job, "resources", None)) is not None:
        require_fit(order, resources.num_workers, float(resources.cpus_per_worker or 1), float(resources.use_gpu))
    if (workers := getattr(job, "workers", None)) is not None:
        require_fit(order, 1, 1.0, float(getattr(workers, "gpus_per_detector", 0.0)))
    return order


def _require_no_secrets(command: Sequence[str]) -> None:
    for name, separator, value in (argument.partition("=") for argument in command):
        if separator and redact(value) != value:
            raise UserError(
                f"{name}: holds a signed address or a password, which the cluster's dashboard would show; give it to "
                "the cluster's nodes as a credential, or write the address into a manifest that they read"
            )


def _require_reachable(name: str, uri: str, address: str | None) -> None:
    """Refuse a server that only this machine reaches if the cluster is elsewhere; the job could not reach it."""
    if _is_loopback(uri) and address is not None and not _is_loopback(address):
        raise UserError(
            f"{name}={uri}: is an address of this machine, which the cluster at {address} does not reach; give the "
            "address that its machines know, or unset it where they have their own"
        )


def _is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _variables(config: SubmitConfig, environment: dict[str, str]) -> dict[str, str]:
    """The environment variables of this machine that are passed on to the job."""
    variables = {durability.SUBMITTED: "1", ORDERED_BY: __version__}
    if missing := [name for name in config.env if name not in environment]:
        raise UserError(f"env=[{', '.join(config.env)}]: {missing[0]} is not set here")
    for name in SERVERS:
        if uri := environment.get(name):
            durability.require_durable_tracking(uri)
            _require_reachable(name, uri, config.address or environment.get("RAY_API_SERVER_ADDRESS"))
            if redact(uri) != uri:
                raise UserError(
                    f"{name}: holds a password or a token, which the cluster's dashboard would show; unset it here and "
                    "give it to the cluster's nodes"
                )
            variables[name] = uri
    return variables | {name: environment[name] for name in config.env}


def _clone() -> str | None:
    """The folder of the clone that this program runs from; None if it is installed."""
    root = Path(__file__).resolve().parents[2]
    return str(root) if (root / "pyproject.toml").is_file() else None
