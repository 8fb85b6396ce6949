"""Config of the embed job."""

from pydantic import Field

from schemas.job_config import Address, Addresses
from schemas.run_config import RunConfig


class EmbedConfig(RunConfig):
    """Config of the embed job, which embeds every frame of keypoint tracks with an aligner."""

    tracks: Addresses
    """Keypoint tracks: a file or folder (any URI), or a list."""

    aligner: Address = Field(min_length=1)
    """The aligner: models:/NAME@ALIAS, models:/NAME/VERSION, or best.pt of train_aligner (any URI)."""

    trust: str | None = Field(default=None, min_length=1)
    """The network outside of this package, package.module:Class, that the aligner may name: its code is run."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for embeddings/ and report.json. Run the same command again to resume, or to add tracks."""

    max_failed: int | None = Field(default=None, ge=0)
    """Number of tracks that may fail before the exit code is 1; null: any number."""
