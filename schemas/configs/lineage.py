"""Config of the lineage job."""

from typing import ClassVar

from pydantic import Field

from schemas.job_config import Address, JobConfig


class LineageConfig(JobConfig):
    """Config of the lineage job, which says what was made from what: videos, tracks, lifters, scores and poses."""

    BARE_FIELD: ClassVar[str | None] = "of"

    of: str = Field(min_length=1)
    """A lifter (models:/NAME@ALIAS, best.pt of a training, or everyday), an output of lift, a folder of tracks, or a
    video: its address, the end of it, or what label was given (a folder, a manifest)."""

    as_json: bool = Field(default=False, alias="json")
    """Print one JSON document instead of text."""

    draw: Address | None = None
    """A file (any URI) for a picture, such as lineage.svg."""
