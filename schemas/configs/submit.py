"""Config of the submit job."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.job_config import Address, JobConfig
from schemas.text_form import TextForm

Namespace = Annotated[
    str, AfterValidator(TextForm(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", "lower-case letters, digits and inner hyphens"))
]
Schedule = Annotated[
    str, AfterValidator(TextForm(r"(\S+ ){4}\S+", "the five parts of a line of cron, such as 0 3 * * *"))
]
Action = Literal["submit", "status", "stop", "list", "logs"]


class SubmitConfig(JobConfig):
    """Config of the submit job, which runs another job on a Ray cluster with the same arguments as on this machine.

    The first word of the command line is a job, or status, stop, list or logs. The fields below belong to submit;
    all others go to the job.
    """

    action: Action = "submit"
    """What to do, taken from the first word of the command line."""

    job: str | None = None
    """With submit: the job to run, taken from the first word of the command line."""

    arguments: tuple[str, ...] = ()
    """With submit: recipes and fields of the job."""

    id: str | None = None
    """With status, stop and logs: the id that submit printed, taken from the second word of the command line."""

    address: str | None = Field(default=None, min_length=1)
    """Address of the cluster's job server, such as http://head:8265. If not given, RAY_API_SERVER_ADDRESS, or else the
    server on this machine."""

    kubernetes: str | None = Field(default=None, min_length=1)
    """Run the job as a RayJob of KubeRay, which makes a cluster for it: kubectl's context, or - to print the RayJob.
    With list and a Ray cluster named as well: the jobs of both."""

    image: str | None = Field(default=None, min_length=1)
    """With kubernetes: the image of Raylift in your registry, such as registry.example.com/raylift:0.1.0, best with the
    digest that `docker push` prints: registry.example.com/raylift:0.1.0@sha256:…"""

    cpu_workers: int = Field(default=0, ge=0)
    """With kubernetes: pods of 15 CPUs, which decode, and detect without GPUs."""

    gpu_workers: int = Field(default=0, ge=0)
    """With kubernetes: pods of 7 CPUs and a GPU."""

    namespace: Namespace = "raylift"
    """With kubernetes: the namespace that cluster/kuberay/namespace made."""

    queue: str | None = Field(default=None, min_length=1)
    """With kubernetes: the LocalQueue of Kueue that the job waits in. If not given, it begins at once."""

    schedule: Schedule | None = None
    """With kubernetes: run the job again and again, at the times of a line of cron, such as 0 3 * * *. KubeRay's
    operator needs its feature gate RayCronJob."""

    follow: bool = True
    """Print the job's output as it comes and exit with its exit code; false: return at once. Ctrl-C does not stop the
    job."""

    cpus: float | None = Field(default=None, ge=0)
    """CPUs reserved for the job's main process, which coordinates the workers. If not given, none are reserved."""

    memory_gb: float | None = Field(default=None, gt=0)
    """Memory reserved for the job's main process, GB. If not given, none is reserved."""

    placed_on: str | None = None
    """Custom Ray resource that a node must have to run the job's main process. If not given, it runs on the head
    node."""

    working_dir: Address | None = Field(default=None, min_length=1)
    """Folder to upload, in which the job starts: code and configuration that its .gitignore does not name. If not
    given, this project's clone, or nothing where it is installed."""

    includes: tuple[str, ...] = ()
    """Patterns of further files to upload, such as *.pt. Hidden files and those with names of keys never are."""

    excludes: tuple[str, ...] = ()
    """Patterns of files or folders not to upload."""

    env: tuple[str, ...] = ()
    """Names of environment variables to pass on to the job. The Ray dashboard shows their values: pass no secrets."""
