"""Config of the evaluate job."""

import re

from pydantic import Field, field_validator

from schemas.job_config import Address, Addresses, ModelAddress
from schemas.run_config import RunConfig
from schemas.text_form import Device


class EvaluateConfig(RunConfig):
    """Config of the evaluate job, which scores a lifter on tracks."""

    model: ModelAddress = Field(min_length=1)
    """The lifter: best.pt or last.pt in an output of the train job (any URI), models:/NAME@ALIAS, models:/NAME/VERSION,
    or everyday."""

    trust: str | None = Field(default=None, min_length=1)
    """The lifter outside of this package, package.module:Class, that the model may name: its code is run."""

    data: Addresses
    """Tracks to score on: a file or folder (any URI), or a list. Unlabeled tracks are scored without their 3D poses."""

    subjects: tuple[str, ...] | None = None
    """Subjects to score on. If not given, all."""

    actions: tuple[str, ...] | None = None
    """Actions to score on, by whole names or their first words. If not given, all."""

    cameras: tuple[str, ...] | None = None
    """Cameras to score on. If not given, all."""

    flip: bool = True
    """Also lift the mirrored keypoints and average both results, as published results do. Takes twice the time."""

    by_subject: bool = False
    """Report a table for each subject and average over subjects last, as results on HumanEva are reported."""

    action_pattern: str = "[^ ]+"
    """Regular expression for the part of an action's name that all its takes share: by default what precedes the first
    space ("Walking 1" and "Walking 2" are one action); [a-z]+ joins walk_01 and walk_02."""

    output: Address | None = Field(default=None, min_length=1)
    """Folder (any URI) for metrics.json. If not given and best.pt is on this machine, evaluation_best/ beside it."""

    @field_validator("action_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    device: Device = "auto"
    """Where to compute: cpu, cuda, cuda:1, …, or auto (the GPU if there is one)."""
