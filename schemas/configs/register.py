"""What the register job may be told."""

import re
from typing import Literal

from pydantic import Field, field_validator

from schemas.job_config import JobConfig

Metric = Literal[
    "mpjpe_mm",
    "p_mpjpe_mm",
    "n_mpjpe_mm",
    "mpjve_mm",
    "pck_150mm",
    "auc_150mm",
    "bone_length_error_mm",
    "bone_length_deviation",
    "trajectory_mm",
    "reprojection_px",
]

CHAMPION = "champion"
_ALIAS = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


class RegisterConfig(JobConfig):
    """Make a lifter a version of a registered model, and promote it if it is no worse than the present champion."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w. -]*$", max_length=200)
    """The registered model; made if there is none of this name."""

    model: str | None = Field(default=None, min_length=1)
    """The lifter: best.pt of an output of jobs.train, a file of jobs.import_lifter (any URI), or models:/name@alias."""

    run: str | None = Field(default=None, min_length=1)
    """Instead of model: the MLflow id of a finished training."""

    version: int | None = Field(default=None, ge=1)
    """Instead of model: a version that is registered already, to promote."""

    alias: str | None = "candidate"
    """What the version is called from now on; null: nothing."""

    promote: str | None = None
    """Alias to give the version too, if it is no worse on data than the version that has it now: champion."""

    data: str | tuple[str, ...] | None = None
    """With promote: tracks to compare on: a file or folder (any URI), or a list."""

    subjects: tuple[str, ...] | None = None
    """With promote: subjects to compare on; none: all."""

    actions: tuple[str, ...] | None = None
    """With promote: actions to compare on, whole names or their first words; none: all."""

    cameras: tuple[str, ...] | None = None
    """With promote: cameras to compare on; none: all."""

    metric: Metric = "mpjpe_mm"
    """With promote: what is compared, as jobs.evaluate names it."""

    flip: bool = True
    """With promote: lift the mirror image too and average, as published results do; twice the time."""

    force: bool = False
    """Promote even if worse, or without data to compare on; recorded on the version."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """With promote: where to compute: cpu, cuda, cuda:1, …; auto: the GPU if there is one."""

    @field_validator("alias", "promote")
    @classmethod
    def _possible(cls, alias: str | None) -> str | None:
        # MLflow keeps these for itself.
        reserved = alias is not None and (alias == "latest" or re.fullmatch(r"v\d+", alias) is not None)
        if alias is not None and (reserved or not _ALIAS.fullmatch(alias)):
            raise ValueError("an alias is letters, digits, - and _, not latest and not v1")
        return alias

    @field_validator("alias")
    @classmethod
    def _not_past_the_gate(cls, alias: str | None) -> str | None:
        if alias == CHAMPION:
            raise ValueError(f"only promote={CHAMPION} makes a {CHAMPION}; leave it out")
        return alias
