"""How the commands of pages are followed: what is not run and why, and the steps that run or check the others."""

import sys
from collections.abc import Callable

import pytest
from docs.doc_commands import Command, check

from jobs.command_line.main import main, run_job

# Commands that are not run, by how they begin, and why.
NOT_RUN = {
    "make demo-multiview": "minutes: tests/jobs/test_demo_multiview.py runs it with two people",
    "make demo": "minutes: tests/jobs/test_demo.py runs it with three people",
    **dict.fromkeys(
        ("make test", "make test-fast", "make test-slow", "make test-gpu", "make coverage"),
        "runs the tests, this one too",
    ),
    "raylift fit_noise": "minutes: tests/jobs/test_demo.py runs it on the people of the demo",
    "raylift lineage models:/lifter@champion draw=lineage.svg": "tests/cluster/test_remote_mlflow.py draws one",
    "make docs": "minutes: .ci/run runs it",
    "pip install": "needs the network",
    **dict.fromkeys(
        ("make pin-images", "make check-images"),
        "tests/cluster/test_pinned_images.py runs it with a registry of its own: the real ones need the network",
    ),
    **dict.fromkeys(
        ("make audit", "make lock", "make sbom"), "needs the network: tests/test_supply.py looks at what they write"
    ),
    "python -m venv": "is what make does",
    "pre-commit install": "needs the network, and changes the clone",
    "python docs/draw_architecture.py": "changes the clone: tests/docs/test_architecture.py compares what it draws",
    "python docs/draw_mlflow.py": "needs Chromium, and changes the clone",
    "python -m jobs.NAME": "stands for every job",
    "raylift NAME": "stands for every job",
    "raylift compare cmu_semi mocap=FILE": "minutes, on a file that does not come with Raylift",
    "raylift label …": "stands for any command of the job",
    "raylift fetch_weights": "needs the network",
    "raylift fetch_mocap": "needs the network",
    "raylift submit": "needs a cluster: its command line is checked",
    "mlflow models serve": "serves until it is stopped: tests/register/test_registered_model.py asks such a server",
    "raylift serve": "serves until it is stopped: tests/serve/test_lifter_processes.py asks such a server",
    **dict.fromkeys(("mlflow ui", "mlflow server"), "serves until it is stopped"),
    "export": "is for a cluster, or sets what tests set for themselves",
    **dict.fromkeys(("docker", "kind", "kubectl", "helm", "mkdir", "ls"), "needs Docker and Kubernetes"),
    **dict.fromkeys(("ray", "aws", "gcloud"), "needs a cluster in a cloud"),
}

Step = Callable[[Command], None]


def reason(command: Command) -> str | None:
    """Why a command is not run; None if it is."""
    return next((why for begin, why in NOT_RUN.items() if f"{command.text} ".startswith(f"{begin} ")), None)


def really(*smaller: str) -> Step:
    """Run a command, with fields that make it smaller in place of its own."""

    def step(command: Command) -> None:
        _, job, *arguments = command.words
        names = {field.partition("=")[0] for field in smaller}
        kept = [argument for argument in arguments if argument.partition("=")[0] not in names]
        assert run_job(job, [*kept, *smaller]) == 0, command.text

    return step


def listed(command: Command) -> None:
    """Run a command that is no job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command.words)
        assert main() == 0


def checked(before: Callable[[], object] | None = None, leaves: Callable[[], object] | None = None) -> Step:
    """Check a command and what it reads; `leaves` then writes what it would have written."""

    def step(command: Command) -> None:
        if before:
            before()
        check(command.words[1:])
        if leaves:
            leaves()

    return step
