"""Jobs on a cluster, before and after they are submitted; apart from the client, because that loads Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Keys of a job's metadata: the name of the job, which only Raylift's jobs have, and the user who submitted it.
JOB_KEY, USER_KEY = "raylift.job", "raylift.user"


@dataclass(frozen=True)
class Order:
    """A job to submit.

    Attributes:
        id: Its name on the cluster.
        entrypoint: The command.
        runtime_env: Ray's runtime environment: working directory, environment variables.
        metadata: Shown with the job.
        cpus: CPUs that are reserved for the command's process.
        memory_bytes: Memory that is reserved for it.
        resources: Custom resources that are reserved for it.
        includes: Patterns of files of the working directory that are sent besides code and configuration.
        excludes: Patterns of those that are not.
    """

    id: str
    entrypoint: str
    runtime_env: Mapping[str, Any]
    metadata: Mapping[str, str]
    cpus: float | None = None
    memory_bytes: int | None = None
    resources: Mapping[str, float] | None = None
    includes: Sequence[str] = ()
    excludes: Sequence[str] = ()


@dataclass(frozen=True)
class SubmittedJob:
    """What the cluster knows of a submitted job.

    Attributes:
        id: Its name on the cluster.
        job: The job: label, train, …
        user: Who submitted it.
        state: pending, running, stopped, succeeded or failed.
        command: The command that runs.
        message: The cluster's explanation of the state, one line.
        exit_code: The exit code of the job; 1 if it ended without one, as when it was stopped; None while it runs.
        began_at: Seconds since 1970; None if it has not begun.
        ended_at: Seconds since 1970; None if it has not ended.
    """

    id: str
    job: str
    user: str
    state: str
    command: str
    message: str
    exit_code: int | None
    began_at: float | None
    ended_at: float | None

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self.exit_code is not None
