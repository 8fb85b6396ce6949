"""Config of the serve job."""

from typing import ClassVar

from pydantic import Field

from schemas.job_config import JobConfig, ModelAddress


class ServeConfig(JobConfig):
    """Config of the serve job, which lifts tracks that others send by HTTP, until it is stopped."""

    BARE_FIELD: ClassVar[str | None] = "model"

    model: ModelAddress = Field(default="everyday", min_length=1, validate_default=True)
    """The lifter: everyday (it comes with Raylift), models:/NAME@ALIAS, models:/NAME/VERSION, or best.pt in an output
    of the train job (any URI). An alias is followed: what it names later is served from then on."""

    trust: str | None = Field(default=None, min_length=1)
    """The lifter outside of this package, package.module:Class, that the model may name: its code is run."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Where to listen: 127.0.0.1 (only this machine is heard), or 0.0.0.0 (behind something that asks who is there)."""

    port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen at; 0: any that is free."""

    flip: bool = True
    """Also lift the mirrored keypoints and average both results. Takes twice the time."""

    replicas: int | None = Field(default=None, ge=1)
    """Number of lifter processes. If not given, as many as the CPUs (or GPUs) allow."""

    cpus_per_replica: int = Field(default=1, ge=1)
    """CPUs of one lifter process, which is also its number of threads."""

    gpus_per_replica: float = Field(default=0.0, ge=0)
    """GPUs of one lifter process."""

    batch_requests: int = Field(default=64, ge=1)
    """Most requests that a process lifts together: those that have come while it was busy."""

    max_request_mb: int = Field(default=32, ge=1, le=2000)
    """Largest request, MB. A number of a track takes about 6 bytes."""

    max_waiting: int = Field(default=256, ge=1)
    """Most requests that wait for an answer; others are told to come again."""

    max_waiting_mb: int = Field(default=512, ge=1)
    """Most MB of requests that wait for an answer."""

    answer_s: float = Field(default=60.0, gt=0)
    """Longest time for an answer, from when the request has arrived, s."""

    look_s: float = Field(default=5.0, gt=0)
    """With an alias: how often it is looked at, s."""

    stop_s: float = Field(default=30.0, ge=0)
    """Longest time for the answers that are due when the server is stopped, s."""
