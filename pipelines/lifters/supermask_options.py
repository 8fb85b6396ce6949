"""The options of `Supermask`, in a module without torch: `raylift train --help` reads them."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import JobConfig, PluginConfig, PluginTable


class SupermaskConfig(JobConfig):
    """The options of `lifter.name=supermask`."""

    inner: Annotated[PluginConfig, PluginTable("lifters")] = PluginConfig(name="temporal_conv")
    """The lifter whose weights are masked."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the weights of each layer that is kept."""

    weights_seed: int = Field(default=0, ge=0)
    """Seed of the weights, which are never trained."""
