"""What the evaluate job may be told."""

from pydantic import Field

from schemas.job_config import JobConfig


class EvaluateConfig(JobConfig):
    """Score a lifter on tracks."""

    model: str = Field(min_length=1)
    """The lifter: best.pt or last.pt of an output of jobs.train (any URI), or models:/name@alias, models:/name/3."""

    data: str | tuple[str, ...]
    """Tracks: a file or folder (any URI), or a list; labels are used where there are some."""

    subjects: tuple[str, ...] | None = None
    """Subjects to score on; none: all."""

    actions: tuple[str, ...] | None = None
    """Actions to score on, whole names or their first words; none: all."""

    cameras: tuple[str, ...] | None = None
    """Cameras to score on; none: all."""

    flip: bool = True
    """Lift the mirror image too and average, as published results do; twice the time."""

    by_subject: bool = False
    """A table for each subject, averaged over subjects last, as HumanEva is reported."""

    output: str | None = Field(default=None, min_length=1)
    """Folder (any URI) for metrics.json; none: evaluation_best/ beside best.pt, for a file on this machine."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where to compute: cpu, cuda, cuda:1, …; auto: the GPU if there is one."""
