"""Config of the tune job."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.configs.train import TrainingConfig
from schemas.job_config import Address, Addresses, JobConfig


class AshaConfig(JobConfig):
    """Successive halving (ASHA): trials with worse results are stopped early."""

    grace_epochs: int = Field(default=5, ge=1)
    """Number of epochs that every trial gets; with unlabeled tracks more than objective.warmup_epochs."""

    reduction: float = Field(default=3.0, gt=1)
    """One in this many trials, the best, continues after grace_epochs, and again each time its epochs have grown by
    this factor."""


class PbtConfig(JobConfig):
    """Population-based training (PBT): trials with worse results continue from a better one with changed values."""

    interval_epochs: int = Field(default=5, ge=1)
    """Number of epochs between two comparisons of the trials."""

    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of the trials, at least one, that is replaced by copies of as many of the best, 0 to 0.5."""

    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Probability that a value is drawn anew. Otherwise a number changes by a fifth, a choice moves to its neighbour in
    the list."""


class SearchConfig(JobConfig):
    """What a search consists of, apart from the training that it repeats."""

    search_space: dict[str, Any]
    """What to search: dotted path of a field below, or of a lifter's option, mapped to {loguniform: [1e-4, 1e-2]},
    {uniform: [low, high]}, {randint: [low, high]} (both included) or {choice: [a, b, …]}; null drops a field that a
    recipe searches."""

    labeled: Addresses
    """Labeled tracks: a file or folder (any URI), or a list."""

    unlabeled: Addresses | None = None
    """Unlabeled tracks, as the label job writes them: a file or folder (any URI), or a list. Labels in them are
    ignored."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for trials/, best.pt, best.yaml, report.json and search.html. Run the same command again to
    resume."""

    trials: int | None = Field(default=None, ge=1)
    """Total number of trials, or fewer where the search space has fewer combinations. If not given, 20, or every
    combination with sampler=grid. Raise it later to continue."""

    sampler: Literal["tpe", "gp", "random", "grid"] = "tpe"
    """How values are chosen, by Optuna: tpe (near those of good trials), gp (where a Gaussian process expects the
    best), random, or grid (every combination). The first trial has the config's own values, if they lie in the search
    space; no values are tried twice."""

    scheduler: Literal["asha", "pbt", "none"] = "asha"
    """What happens to trials with worse results: asha (stopped), pbt (continue from better ones), or none (nothing)."""

    asha: AshaConfig = AshaConfig()
    """Options of scheduler=asha."""

    pbt: PbtConfig = PbtConfig()
    """Options of scheduler=pbt."""

    max_concurrent_trials: int | None = Field(default=None, ge=1)
    """Most trials that run at a time. If not given, as many as the cluster has room for. A trial takes
    resources.num_workers times resources.cpus_per_worker CPUs (1 if not given) and, with resources.use_gpu, a GPU for
    each worker."""

    retries: int = Field(default=1, ge=0)
    """How many times a trial that lost its processes or machine is repeated from its last checkpoint. Trials that ended
    with an error of their own, such as too little memory, are not repeated: they would end the same way."""

    seed: int = Field(default=0, ge=0)
    """Random seed of the values tried. What a trial does with them depends on optimization.seed."""


class TuneConfig(TrainingConfig, SearchConfig):
    """Config of the tune job, which searches hyperparameters: each trial is a training with some values changed."""

    @classmethod
    def contradictions(cls, values: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
        """Refuse values of fields that are searched: whoever gives one may expect that every trial keeps it."""
        space = values.get("search_space")
        return [
            f"{path}={value}: the field is searched; leave it out, or give search_space.{path}=null to keep this value"
            for path, value in given.items()
            if isinstance(space, Mapping) and path in space and path not in SearchConfig.model_fields
        ]
