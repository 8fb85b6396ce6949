"""What the tune job may be told."""

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.configs.train import TrainingConfig
from schemas.job_config import JobConfig


class AshaConfig(JobConfig):
    """Successive halving: trials that are behind are stopped early."""

    grace_epochs: int = Field(default=5, ge=1)
    """Epochs that every trial gets."""

    reduction: float = Field(default=3.0, gt=1)
    """The best one of so many goes on, at grace_epochs and at every such multiple of it."""


class PbtConfig(JobConfig):
    """Population-based training: trials that are behind go on from a better one, with changed values."""

    interval_epochs: int = Field(default=5, ge=1)
    """Epochs between two comparisons."""

    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the trials, at least one, that is replaced by as many of the best."""

    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How often a value is drawn anew; otherwise numbers grow or shrink by a fifth, choices move to a neighbour."""


class SearchConfig(JobConfig):
    """What a search is, whatever it searches."""

    search_space: dict[str, Any]
    """What to search: dotted path of a field below, or of a lifter's option, to {loguniform: [1e-4, 1e-2]},
    {uniform: [low, high]}, {randint: [low, high]} (both included) or {choice: [a, b, …]}."""

    labeled: str | tuple[str, ...]
    """Labeled tracks: a file or folder (any URI), or a list."""

    unlabeled: str | tuple[str, ...] | None = None
    """Unlabeled tracks, as `label` writes them; labels that they have are not looked at."""

    output: str = Field(min_length=1)
    """Folder (any URI) for trials/, best.pt, best.yaml, report.json and search.html; run again to resume."""

    trials: int | None = Field(default=None, ge=1)
    """Trials in all; none: 20, or with sampler=grid each combination. More may be given later, to go on."""

    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """Where values come from: tpe (where earlier trials did well, by Optuna), random, or grid (each combination)."""

    scheduler: Literal["asha", "pbt", "none"] = "asha"
    """What happens while trials run: asha stops those behind, pbt lets them go on from better ones, none."""

    asha: AshaConfig = AshaConfig()
    """Successive halving."""

    pbt: PbtConfig = PbtConfig()
    """Population-based training."""

    max_concurrent_trials: int | None = Field(default=None, ge=1)
    """Most trials at a time; none: as many as the cluster has room for. A trial takes resources.num_workers times
    resources.cpus_per_worker CPUs (in a search 1 if not given) and, with resources.use_gpu, a GPU for each worker."""

    retries: int = Field(default=1, ge=0)
    """How often a trial that failed is tried again, from its last checkpoint; one that diverged is not."""

    seed: int = Field(default=0, ge=0)
    """Of the values tried; what a trial does with them is optimization.seed's."""


class TuneConfig(TrainingConfig, SearchConfig):
    """Search hyperparameters of a training: each trial is a training with some values changed."""
