"""Ray Tune's view on a search: which trial is next, and what becomes of those that run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Experiment, Trial
from ray.tune.search.search_algorithm import SearchAlgorithm

from pipelines.tune.search import Search
from pipelines.tune.trial import HOPELESS, METRICS, REPORT, SCORE, SOURCE, TIME


class _NotSaved:
    """Tune pickles all it is given, to restore it after an interruption; this search goes on from its output."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Proposals(_NotSaved, SearchAlgorithm):
    """Begins a trial whenever one may run, under the number by which the output knows it.

    Args:
        search: The search.
        limit: Most trials at a time.
        retries: How often Tune runs a trial again that failed.
    """

    def __init__(self, search: Search, limit: int, retries: int) -> None:
        self._search, self._limit, self._retries = search, limit, retries
        self._spec: Mapping[str, Any] = {}

    def add_configurations(self, experiments: Any) -> None:
        """Take what is the same for all trials."""
        (experiment,) = experiments
        assert isinstance(experiment, Experiment)
        self._spec = experiment.spec

    def next_trial(self) -> Trial | None:
        """The next trial; None while as many run as may."""
        while self._search.waiting and len(self._search.running) < self._limit:
            record = self._search.begin()
            if record.state == "running":
                return Trial(
                    self._spec["run"],
                    config=dict(record.parameters),
                    trial_id=record.name,
                    storage=self._spec["storage"],
                    evaluated_params=dict(record.parameters),
                    experiment_tag=record.name,
                    placement_group_factory=self._spec["resources_per_trial"],
                    checkpoint_config=self._spec["checkpoint_config"],
                    max_failures=self._retries,
                )
        return None

    def is_finished(self) -> bool:
        """Whether every trial has begun."""
        return not self._search.waiting


class Watch(_NotSaved, Callback):
    """Tells the search what Tune hears, and the population, if there is one, who is no longer of it."""

    def __init__(self, search: Search, population: Any) -> None:
        self._search, self._population = search, population

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial tells of an epoch, and of what it went on from."""
        if HOPELESS in result or self._over:
            return
        number = int(trial.trial_id)
        if result[SOURCE] not in (None, *self._search.records[number].exploited[-1:]):
            self._search.exploited(number, result[SOURCE], trial.config)
        self._search.epoch(number, result[TIME], result[SCORE], result[METRICS])

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended by itself, or the scheduler has stopped it."""
        if self._over:
            return
        number, result = int(trial.trial_id), trial.last_result
        self._leave(number)
        if HOPELESS in result:
            self._search.fail(number, result[HOPELESS], hopeless=True)
        elif REPORT in result:
            self._search.finish(number, result[REPORT])
        else:
            self._search.stop(number)

    def on_trial_recover(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed and is tried again."""
        if not self._over:
            self._search.retry(int(trial.trial_id), _reason(trial))

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed too often."""
        if self._over:
            return
        self._leave(int(trial.trial_id))
        self._search.fail(int(trial.trial_id), _reason(trial), hopeless=False)

    @property
    def _over(self) -> bool:
        """Whether the search has failed: Tune goes on to tell of trials while it ends."""
        return self._search.failure is not None

    def _leave(self, number: int) -> None:
        if self._population is not None:
            self._population.left.remote(number)


def _reason(trial: Trial) -> str:
    """What a trial died of: the last line of the traceback that Tune keeps."""
    file = Path(trial.error_file) if trial.error_file else None
    lines = file.read_text(encoding="utf-8").split("\n") if file and file.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its process died")
    # Our own errors say it all, without their names.
    return re.sub(r"^(schemas|pipelines)(\.\w+)+: ", "", last)
