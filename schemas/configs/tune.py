"""Config of the tune job."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from schemas.configs.samplers import SamplerName
from schemas.configs.search_metrics import Constraint, Cost, Metrics, read_limits
from schemas.configs.train import ERROR_NAMES, ErrorMetric, TrainingConfig
from schemas.job_config import Address, Addresses, JobConfig, ModelAddress
from schemas.run_config import RunConfig
from schemas.text_form import Device, TextForm
from schemas.typed_text import Unread

Duration = Annotated[
    str,
    AfterValidator(
        TextForm(r"(?=[\d.]*[1-9])\d+(\.\d+)?[smhd]", "a time above 0 with its unit, such as 90s, 30m or 2h")
    ),
]
"""A number with s, m, h or d for seconds, minutes, hours or days."""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class AshaConfig(JobConfig):
    """Successive halving (ASHA): trials with worse results are stopped early."""

    grace_epochs: int = Field(default=5, ge=1)
    """Number of epochs that every trial gets; with unlabeled tracks more than objective.warmup_epochs."""

    reduction: float = Field(default=3.0, gt=1)
    """One in this many trials, the best, continues after grace_epochs, and again each time its epochs have grown by
    this factor."""


class HyperbandConfig(JobConfig):
    """HyperBand: several successive halvings (ASHA) that begin to stop trials after different numbers of epochs."""

    grace_epochs: int = Field(default=2, ge=1)
    """Number of epochs that every trial gets; with unlabeled tracks more than objective.warmup_epochs."""

    reduction: float = Field(default=3.0, gt=1)
    """As asha.reduction."""

    brackets: int = Field(default=2, ge=2)
    """Number of halvings among which trials are divided; each one begins reduction times later than the one before."""


class MedianConfig(JobConfig):
    """The median rule: trials whose best error is worse than the median of the others' mean errors are stopped."""

    grace_epochs: int = Field(default=5, ge=1)
    """Number of epochs that every trial gets; with unlabeled tracks more than objective.warmup_epochs."""

    min_trials: int = Field(default=3, ge=1)
    """Number of other trials that must have come as far before one is stopped."""


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

    search_space: dict[str, Annotated[Any, Unread()]]
    """What to search: dotted path of a field below, or of a lifter's option, mapped to {loguniform: [1e-4, 1e-2]},
    {uniform: [low, high]}, {randint: [low, high]} (both included), {lograndint: [low, high]} or {choice: [a, b, …]};
    null drops a field that a recipe searches. Beside uniform and randint may stand step: 0.1. Beside any,
    when: {lifter.name: supermask} searches the field only where another searched one has that value."""

    labeled: Addresses
    """Labeled tracks: a file or folder (any URI), or a list."""

    unlabeled: Addresses | None = None
    """Unlabeled tracks, as the label job writes them: a file or folder (any URI), or a list. Labels in them are
    ignored."""

    weights: ModelAddress | None = None
    """Lifter that every trial starts from, as in train. If not given, random weights."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for trials/, best.pt, best.yaml, report.json and search.html. Run the same command again to
    resume."""

    trials: int | None = Field(default=None, ge=1)
    """Total number of trials, or fewer where the search space has fewer combinations. If not given, 20, or every
    combination with sampler=grid. Raise it later to continue."""

    sampler: SamplerName = "tpe"
    """How values are chosen, by Optuna: tpe (near those of good trials), gp (where a Gaussian process expects the
    best), cmaes (a normal distribution that moves), nsga2 (evolution), random, qmc (evenly spread), or grid (every
    combination). The first trial has the config's own values, if they lie in the search space; no values are tried
    twice."""

    scheduler: Literal["asha", "hyperband", "median", "pbt", "none"] = "asha"
    """What happens to trials with worse results: asha, hyperband, median (stopped early), pbt (continue from better
    ones), or none (nothing)."""

    asha: AshaConfig = AshaConfig()
    """Options of scheduler=asha."""

    hyperband: HyperbandConfig = HyperbandConfig()
    """Options of scheduler=hyperband."""

    median: MedianConfig = MedianConfig()
    """Options of scheduler=median."""

    pbt: PbtConfig = PbtConfig()
    """Options of scheduler=pbt."""

    metric: Metrics = "mpjpe_mm"
    """Error on data.validation_subjects by which trials are compared and the best epoch of each is chosen. A list of
    two or three, such as [mpjpe_mm, parameters, lift_frames_per_s], makes a search for their front: all trials than
    which no other is better in everything. Its first error chooses the best epochs."""

    constraints: tuple[Constraint, ...] = ()
    """What the best trials must keep to: [parameters<=5e6, lift_frames_per_s>=1000]. Lifters with too many parameters
    are not trained."""

    lift_device: Device = "auto"
    """Where lift_frames_per_s is measured, on the driver's machine: cpu, cuda, cuda:1, …, or auto (the GPU if there is
    one). Once more for all when all trials have ended, so that no other trial disturbs it."""

    points: Address | tuple[dict[str, Any], ...] | None = None
    """Values to try first, after the config's own: a list such as [{optimization.learning_rate: 0.01}], or a YAML file
    with one. Fields that a point does not name keep the config's value."""

    warm_start: Addresses | None = None
    """Outputs of earlier searches over the same tracks with the same settings. The sampler learns from their trials,
    and does not repeat them. Also models:/lifter@champion, for the search that this lifter comes from, and
    experiments:/NAME, for all finished trainings of an MLflow experiment; those with other settings are left out."""

    test_subjects: tuple[str, ...] = ()
    """Labeled subjects that no trial trains on or is compared by. The best model and that of the config's own values
    are scored on them, once, at the end."""

    repeat_best: int = Field(default=0, ge=0)
    """How many of the best trials, and with them the config's own values, are trained again with other seeds. The best
    is then chosen by the mean of these. One seed alone cannot tell a better config from chance."""

    seeds: int = Field(default=3, ge=2)
    """With repeat_best: number of seeds."""

    budget: Duration | None = None
    """Longest time that this command may take, such as 90m or 2h. What has not ended by then is not counted; the same
    command goes on with it. The repeats of repeat_best get up to half of it. If not given, until all trials end."""

    budget_trials_h: float | None = Field(default=None, gt=0)
    """Most time of all trials of the output together, in hours; of trials side by side each counts. Raise it later to
    continue. If not given, any."""

    trial_timeout: Duration | None = None
    """Longest time that a trial may take, such as 30m; one that takes longer fails. If not given, any time."""

    patience: int | None = Field(default=None, ge=1)
    """Start no further trial when this many have ended since the best one. If not given, all are tried."""

    finish: bool = False
    """Start no further trial: conclude an interrupted search with the trials that have ended."""

    keep_models: int = Field(default=5, ge=1)
    """Number of best trials whose models stay in the output, beside that of the config's own values. Of others the
    metrics stay."""

    max_concurrent_trials: int | None = Field(default=None, ge=1)
    """Most trials that run at a time. If not given, as many as the cluster has room for. A trial takes
    resources.num_workers times resources.cpus_per_worker CPUs (1 if not given) and, with resources.use_gpu, a GPU or
    resources.gpus_per_worker of one for each worker."""

    retries: int = Field(default=1, ge=0)
    """How many times a trial that lost its processes or machine is repeated from its last checkpoint. Trials that ended
    with an error of their own, such as too little memory, are not repeated: they would end the same way."""

    seed: int = Field(default=0, ge=0)
    """Random seed of the values tried. What a trial does with them depends on optimization.seed."""


def seconds(duration: str) -> float:
    """A duration in seconds."""
    return float(duration[:-1]) * SECONDS[duration[-1]]


class TuneConfig(TrainingConfig, SearchConfig, RunConfig):
    """Config of the tune job, which searches hyperparameters: each trial is a training with some values changed."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """What trials are compared by, one metric or several."""
        return (self.metric,) if isinstance(self.metric, str) else self.metric

    @property
    def error_metric(self) -> ErrorMetric:
        """The error by which the best epoch of each trial is chosen."""
        return next(error for name in self.metrics for error in ERROR_NAMES if error == name)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The properties of lifters that are compared or limited."""
        named = {*self.metrics, *(limit.metric for limit in read_limits(self.constraints))}
        return tuple(name for name in get_args(Cost) if name in named)

    @property
    def grace_epochs(self) -> int | None:
        """Number of epochs before the scheduler may stop a trial; None if it stops none."""
        options = getattr(self, self.scheduler, None)
        return getattr(options, "grace_epochs", None)

    @classmethod
    def contradictions(cls, values: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
        """Refuse values of fields that are searched: whoever gives one may expect that every trial keeps it."""
        space = values.get("search_space")
        searched = space if isinstance(space, Mapping) else {}
        chosen = values.get("scheduler", cls.model_fields["scheduler"].default)
        others = {"asha", "hyperband", "median", "pbt"} - {chosen}
        unused = [
            f"{path}={value}: is an option of another scheduler than {chosen}; leave it out, or give scheduler={option}"
            for path, value in given.items()
            if (option := path.partition(".")[0]) in others
        ]
        return unused + [
            f"{path}={value}: the field is searched; leave it out, or give search_space.{path}=null to keep this value"
            for path, value in given.items()
            if path in searched and path not in SearchConfig.model_fields
        ]
