"""The adapter to Ray Tune: gives it the next trial of a search and takes its callbacks back to the search."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Experiment, Trial
from ray.tune.search.search_algorithm import SearchAlgorithm

from pipelines.tune.capacity import GrowingCapacity
from pipelines.tune.search import Search
from pipelines.tune.trial import HOPELESS, METRICS, REPORT, SCORE, SOURCE, TIME


class _NotPickled:
    """Pickles to nothing: Tune saves its objects to restore a search, but this search continues from its output."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class TrialSource(_NotPickled, SearchAlgorithm):
    """Gives Tune a trial whenever one may run; its id is the number that it has in the output.

    Args:
        search: The search.
        capacity: How many trials may run at a time.
        retries: Number of times that Tune runs a failed trial again.
    """

    def __init__(self, search: Search, capacity: GrowingCapacity, retries: int) -> None:
        self._search, self._capacity, self._retries = search, capacity, retries
        self._spec: Mapping[str, Any] = {}

    def add_configurations(self, experiments: Any) -> None:
        """Take what is the same for all trials, when Tune starts."""
        (experiment,) = experiments
        assert isinstance(experiment, Experiment)
        self._spec = experiment.spec

    def next_trial(self) -> Trial | None:
        """The next trial; None while as many trials run as are allowed."""
        while self._search.waiting and len(self._search.running) < self._capacity.trials:
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
        """Whether every trial has started."""
        return not self._search.waiting


class BudgetStopper(_NotPickled, Stopper):
    """Ends all trials when the search has used up its time."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether one trial is to end, which its scheduler decides."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials are to end."""
        return self._search.out_of_time


class SearchCallback(_NotPickled, Callback):
    """Tells the search what happens to trials, and the population, if there is one, which trials have left it."""

    def __init__(self, search: Search, population: Any) -> None:
        self._search, self._population = search, population

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has ended an epoch, perhaps its first one since it continued from another trial."""
        if HOPELESS in result or self._search_failed:
            return
        number = int(trial.trial_id)
        if result[SOURCE] not in (None, *self._search.records[number].exploited[-1:]):
            self._search.exploited(number, result[SOURCE], trial.config)
        self._search.epoch(number, result[TIME], result[SCORE], result[METRICS])

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended by itself, or the scheduler has stopped it."""
        if self._search_failed:
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
        """A trial has failed and is retried."""
        if not self._search_failed:
            self._search.retry(int(trial.trial_id), _reason(trial))

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed and has no retries left."""
        if self._search_failed:
            return
        self._leave(int(trial.trial_id))
        self._search.fail(int(trial.trial_id), _reason(trial), hopeless=False)

    @property
    def _search_failed(self) -> bool:
        """Whether the search has failed: Tune still calls back while it shuts down."""
        return self._search.failure is not None

    def _leave(self, number: int) -> None:
        if self._population is not None:
            self._population.left.remote(number)


def _reason(trial: Trial) -> str:
    """Why a trial failed: the last line of the traceback that Tune keeps."""
    file = Path(trial.error_file) if trial.error_file else None
    lines = file.read_text(encoding="utf-8").split("\n") if file and file.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its process died")
    # Messages of this project's own errors are complete without the name of their class.
    return re.sub(r"^(schemas|pipelines)(\.\w+)+: ", "", last)
