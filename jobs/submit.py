"""Run a job on a Ray cluster: `submit label videos=…` where `label videos=…` would run it here.

raylift submit label recipe.yaml videos=s3://bucket/clips output=s3://bucket/out address=http://head:8265
raylift submit status|logs|stop ID, raylift submit list
raylift submit label … kubernetes=- image=registry/raylift:0.1.0 cpu_workers=4 prints a RayJob of KubeRay
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("submit"))

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from rich.console import Console
from rich.table import Table

from jobs.command_line.orders import compose, compose_for_kubernetes
from pipelines.io.secrets import printable, redact, shown
from pipelines.kubernetes.kubectl import Kubectl
from pipelines.kubernetes.rayjob import compose_rayjob, scheduled
from pipelines.ray_cluster import sent_files
from pipelines.ray_cluster.submitted_jobs import SubmittedJob
from schemas.configs.submit import SubmitConfig
from schemas.errors import UserError

if TYPE_CHECKING:
    from pipelines.ray_cluster.job_client import JobServer

LISTED = 30


def main(config: SubmitConfig) -> int:
    """Perform one action; when following a job, returns its exit code."""
    if config.action == "submit":
        return submit_to_kubernetes(config) if config.kubernetes else submit(config)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if config.action == "list":
        show_list(console, {_place(server): server.jobs() for server in _servers(config)})
        return 0
    server = _connect(config)
    assert config.id is not None
    if config.action == "logs":
        if config.follow:
            return follow(server, config.id)
        write(server.logs(config.id))
        return 0
    job = server.stop(config.id) if config.action == "stop" else server.look_up(config.id)
    show(console, job)
    if config.action == "stop":
        return int(not job.has_ended)
    return job.exit_code or 0


def submit(config: SubmitConfig) -> int:
    """Check everything that can be checked on this machine, then submit the job."""
    assert config.job is not None
    order = compose(config, dict(os.environ))
    if folder := order.runtime_env.get("working_dir"):
        files = sent_files.files_to_send(Path(folder), order.includes, order.excludes)
        print(f"sends {shown(sent_files.size_of(Path(folder), files))}", file=sys.stderr)
    server = _connect(config)
    assert not isinstance(server, Kubectl)
    with sent_files.staged(order) as sent:
        server.submit(sent)
    print(f"submitted {order.id} to {server.address}")
    if config.follow:
        return follow(server, order.id)
    tell_how_to_look(server, order.id)
    return 0


def submit_to_kubernetes(config: SubmitConfig) -> int:
    """Print a RayJob, or create it and follow it."""
    assert config.kubernetes is not None
    order = compose_for_kubernetes(config, dict(os.environ))
    job = compose_rayjob(order)
    if config.schedule:
        job = scheduled(job, order, config.schedule)
    if config.kubernetes == "-":
        print(yaml.safe_dump(job, sort_keys=False, width=120), end="")
        return 0
    server = _connect(config)
    assert isinstance(server, Kubectl)
    name = server.create(job)
    print(f"submitted {name} to {config.kubernetes}")
    if config.schedule:
        return 0
    if config.follow:
        return follow(server, name)
    tell_how_to_look(server, name)
    return 0


def follow(server: "JobServer | Kubectl", job_id: str) -> int:
    """Print a job's output until it ends; returns its exit code."""
    try:
        server.look_up(job_id)
        job = server.follow(job_id, write)
    except KeyboardInterrupt:
        print(f"\nsubmit: not looking any more; {job_id} goes on", file=sys.stderr)
        tell_how_to_look(server, job_id)
        return 130
    if job.exit_code:
        print(f"submit: {job_id} {job.state}: {_plain(job.message)}", file=sys.stderr)
    return job.exit_code or 0


def write(text: str) -> None:
    """Print a job's output without delay, line by line; control characters are escaped."""
    sys.stdout.write("\n".join(map(_plain, text.split("\n"))))
    sys.stdout.flush()


def _plain(text: str) -> str:
    """Text from other programs, without control characters and without the secrets in addresses."""
    return printable(redact(text))


def tell_how_to_look(server: "JobServer | Kubectl", job_id: str) -> None:
    """Print the commands that show or stop the job."""
    for action in ("logs", "status", "stop"):
        print(f"  raylift submit {action} {job_id} {_place(server)}")


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


def show_list(console: Console, jobs: Mapping[str, Sequence[SubmittedJob]]) -> None:
    """Print a table with one row per job, the newest first; `jobs` by the place that they are at."""
    rows = [(place, job) for place, of_place in jobs.items() for job in of_place]
    if not rows:
        console.print("no jobs of Raylift")
        return
    rows.sort(key=lambda row: -(row[1].began_at or 0))
    places = ("at",) if len(jobs) > 1 else ()
    table = Table("id", "job", "state", "since", "by", *places, box=None, padding=(0, 2, 0, 0))
    for place, job in rows[:LISTED]:
        cells = (job.id, job.job, job.state, _times(job), job.user, *((place,) if places else ()))
        table.add_row(*map(_plain, cells))
    console.print(table)
    if len(rows) > LISTED:
        console.print(f"… and {len(rows) - LISTED} older ones")


def _servers(config: SubmitConfig) -> "Iterator[JobServer | Kubectl]":
    """Those whose jobs are listed: a Ray cluster, a Kubernetes cluster, or both if both are named."""
    if config.address and config.kubernetes:
        yield _connect(config.model_copy(update={"kubernetes": None}))
    yield _connect(config)


def _place(server: "JobServer | Kubectl") -> str:
    """The field that names a server."""
    return f"kubernetes={server.context}" if isinstance(server, Kubectl) else f"address={server.address}"


def _connect(config: SubmitConfig) -> "JobServer | Kubectl":
    if config.kubernetes:
        if config.kubernetes == "-":
            raise UserError("kubernetes=-: only prints a job; give the context of kubectl")
        return Kubectl(config.kubernetes, config.namespace)
    from pipelines.ray_cluster.job_client import JobServer  # here: it loads Ray, which a wrong command never needs

    return JobServer(config.address)


def _times(job: SubmittedJob) -> str:
    if job.began_at is None:
        return "not begun"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.began_at))
    return f"{began}, {(job.ended_at or time.time()) - job.began_at:,.0f} s"
