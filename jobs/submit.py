"""Run a job on a Ray cluster: `submit label videos=…` where `label videos=…` would run it here.

python -m jobs.submit label recipe.yaml videos=s3://bucket/clips output=s3://bucket/out address=http://head:8265
python -m jobs.submit status|logs|stop ID, python -m jobs.submit list
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("submit"))

import getpass
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from jobs.command_line import durability
from jobs.command_line.arguments import merge_arguments, read_config
from jobs.command_line.job_list import config_class
from pipelines.io.secrets import printable, redact, shown
from pipelines.ray_cluster import sent_files
from pipelines.ray_cluster.submitted_jobs import JOB_KEY, USER_KEY, Order, SubmittedJob
from schemas import __version__
from schemas.configs.submit import SubmitConfig
from schemas.errors import UserError
from schemas.job_config import flatten
from schemas.typed_text import write as write_text

if TYPE_CHECKING:
    from pipelines.ray_cluster.job_client import JobServer

# Environment variables with the addresses of MLflow servers, which are passed on to the job.
SERVERS = (durability.TRACKING, "MLFLOW_REGISTRY_URI")
LISTED = 30


def main(config: SubmitConfig) -> int:
    """Perform one action; when following a job, returns its exit code."""
    if config.action == "submit":
        return submit(config)
    server, console = _connect(config), Console(highlight=False, soft_wrap=True, markup=False)
    if config.action == "list":
        show_list(console, server.jobs())
        return 0
    assert config.id is not None
    if config.action == "logs":
        if config.follow:
            return follow(server, config.id)
        write(server.logs(config.id))
        return 0
    found = server.stop(config.id) if config.action == "stop" else server.look_up(config.id)
    show(console, found)
    if config.action == "stop":
        return int(not found.has_ended)
    return found.exit_code or 0


def submit(config: SubmitConfig) -> int:
    """Check everything that can be checked on this machine, then submit the job."""
    assert config.job is not None
    order = compose(config, dict(os.environ))
    if folder := order.runtime_env.get("working_dir"):
        files = sent_files.files_to_send(Path(folder), order.includes, order.excludes)
        print(f"sends {shown(sent_files.size_of(Path(folder), files))}", file=sys.stderr)
    server = _connect(config)
    with sent_files.staged(order) as sent:
        server.submit(sent)
    print(f"submitted {order.id} to {server.address}")
    if config.follow:
        return follow(server, order.id)
    tell_how_to_look(server, order.id)
    return 0


def compose(config: SubmitConfig, environment: dict[str, str]) -> Order:
    """The job as it is submitted to the cluster.

    Raises:
        UserError: The job's command line is wrong, or would leave its results on the cluster.
    """
    assert config.job is not None
    model = config_class(config.job)
    values = flatten(merge_arguments(model, config.arguments))  # of the recipes too, which need not be there
    # Checked here, so that the error appears at once and on this machine; the job would check the same later.
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


def follow(server: "JobServer", job_id: str) -> int:
    """Print a job's output until it ends; returns its exit code."""
    try:
        server.look_up(job_id)
        found = server.follow(job_id, write)
    except KeyboardInterrupt:
        print(f"\nsubmit: not looking any more; {job_id} goes on", file=sys.stderr)
        tell_how_to_look(server, job_id)
        return 130
    if found.exit_code:
        print(f"submit: {job_id} {found.state}: {_plain(found.message)}", file=sys.stderr)
    return found.exit_code or 0


def write(text: str) -> None:
    """Print a job's output without delay, line by line; it may hold what would drive a terminal."""
    sys.stdout.write("\n".join(map(_plain, text.split("\n"))))
    sys.stdout.flush()


def _plain(text: str) -> str:
    """What others wrote, without secrets of addresses and control characters."""
    return printable(redact(text))


def tell_how_to_look(server: "JobServer", job_id: str) -> None:
    """Print the commands that show or stop the job."""
    for action in ("logs", "status", "stop"):
        print(f"  raylift submit {action} {job_id} address={server.address}")


def show(console: Console, job: SubmittedJob) -> None:
    """Print what is known of one job."""
    rows = [
        ("job", job.id),
        ("state", f"{job.state}, {job.message}" if job.exit_code else job.state),
        ("since", _times(job)),
        ("command", job.command),
    ]
    for name, value in rows:
        console.print(f"{name:<9}{_plain(value)}")


def show_list(console: Console, jobs: Sequence[SubmittedJob]) -> None:
    """Print a table with one row per job."""
    if not jobs:
        console.print("no jobs of Raylift")
        return
    table = Table("id", "job", "state", "since", "by", box=None, padding=(0, 2, 0, 0))
    for job in jobs[:LISTED]:
        table.add_row(*map(_plain, (job.id, job.job, job.state, _times(job), job.user)))
    console.print(table)
    if len(jobs) > LISTED:
        console.print(f"… and {len(jobs) - LISTED} older ones")


def _connect(config: SubmitConfig) -> "JobServer":
    from pipelines.ray_cluster.job_client import JobServer  # here: it loads Ray, which a wrong command never needs

    return JobServer(config.address)


def _times(job: SubmittedJob) -> str:
    if job.began_at is None:
        return "not begun"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.began_at))
    return f"{began}, {(job.ended_at or time.time()) - job.began_at:,.0f} s"


def _require_no_secrets(command: Sequence[str]) -> None:
    for name, separator, value in (argument.partition("=") for argument in command):
        if separator and redact(value) != value:
            raise UserError(
                f"{name}: holds a signed address or a password, which the cluster's dashboard would show; give it to "
                "the cluster's nodes as a credential, or write the address into a manifest that they read"
            )


def _variables(config: SubmitConfig, environment: dict[str, str]) -> dict[str, str]:
    """The environment variables of this machine that are passed on to the job."""
    variables = {durability.SUBMITTED: "1"}
    if missing := [name for name in config.env if name not in environment]:
        raise UserError(f"env=[{', '.join(config.env)}]: {missing[0]} is not set here")
    for name in SERVERS:
        if uri := environment.get(name):
            durability.require_durable_tracking(uri)
            if redact(uri) != uri:
                raise UserError(
                    f"{name}: holds a password or a token, which the cluster's dashboard would show; unset it here and "
                    "give it to the cluster's nodes"
                )
            variables[name] = uri
    return variables | {name: environment[name] for name in config.env}


def _clone() -> str | None:
    """The folder of the clone that this program runs from; None if it is installed."""
    root = Path(__file__).resolve().parents[1]
    return str(root) if (root / "pyproject.toml").is_file() else None
