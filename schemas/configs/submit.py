"""What the submit job may be told."""

from typing import Literal

from pydantic import Field

from schemas.job_config import JobConfig

Action = Literal["submit", "status", "stop", "list", "logs"]


class SubmitConfig(JobConfig):
    """Run a job on a Ray cluster: the command behind `submit` is the one that would run here.

    The first word is a job, or status, stop, list or logs. Fields below are submit's own, all others the job's.
    """

    action: Action = "submit"
    """What to do; the first word of the command line says it."""

    job: str | None = None
    """With submit: the job; the first word of the command line."""

    arguments: tuple[str, ...] = ()
    """With submit: the job's own recipes and fields."""

    id: str | None = None
    """With status, stop and logs: what submit printed; the second word of the command line."""

    address: str | None = Field(default=None, min_length=1)
    """The cluster's job server, http://head:8265; none: RAY_API_SERVER_ADDRESS, else one on this machine."""

    follow: bool = True
    """Print the job's output as it comes, and end with its exit code; false: submit and go. Ctrl-C stops looking."""

    cpus: float | None = Field(default=None, ge=0)
    """CPUs reserved for the job's own process, which leads the workers; none: what the cluster gives it unreserved."""

    memory_gb: float | None = Field(default=None, gt=0)
    """Memory reserved for it, GB; none: nothing reserved."""

    placed_on: str | None = None
    """Custom resource of the nodes where it may run; none: the head."""

    working_dir: str | None = Field(default=None, min_length=1)
    """Folder sent along: the job starts there; none: this project's clone, or nothing where it is installed."""

    excludes: tuple[str, ...] = ()
    """Patterns, as in .gitignore, of files in it that stay here, besides the project's own (tests, videos, outputs)."""

    env: tuple[str, ...] = ()
    """Names of environment variables that the job gets from here; the dashboard shows them, so no secrets."""
