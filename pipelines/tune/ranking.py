"""Which trials of a search are best, which of them are trained again with other seeds, and whose models are kept."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.tune.trial_records import SEED, TrialRecord
from schemas.configs.search_metrics import Limit, dominates, read_limits
from schemas.configs.tune import TuneConfig


class Ranking:
    """The order of the trials of a search.

    Args:
        config: The search.
        own: The config's own values of the searched fields.
        records: All trials so far, in any order.

    Attributes:
        records: All trials, by number.
        proposed: The trials whose values were proposed; the others repeat some of them with other seeds.
        default: The one with the config's own values, which others are compared with; None if it is not finished.
        best_first: The finished ones, by their own error; those that keep to the constraints come first.
        front: Those that keep to the constraints and than which no other one is better in every metric; with a single
            metric the best one alone.
    """

    def __init__(self, config: TuneConfig, own: Mapping[str, Any], records: Iterable[TrialRecord]) -> None:
        self._config = config
        self._limits = read_limits(config.constraints)
        self.records = sorted(records, key=lambda record: record.number)
        self.proposed = [record for record in self.records if record.repeats is None]
        self._repeats: dict[int, list[TrialRecord]] = {}
        for record in self.records:
            if record.repeats is not None and record.state == "finished":
                self._repeats.setdefault(record.repeats, []).append(record)
        finished = [record for record in self.proposed if record.state == "finished"]
        self.default = next((record for record in finished if record.parameters == own), None)
        self.best_first = sorted(finished, key=lambda record: (bool(self.broken(record)), *_by_error(record)))
        self.front = self.best_first[:1] if len(config.metrics) == 1 else self._front(config.metrics)

    def broken(self, record: TrialRecord) -> list[Limit]:
        """The constraints that a trial breaks."""
        if not self._limits:
            return []
        metrics = results(self._config, record)
        return [limit for limit in self._limits if limit.metric not in metrics or limit.excess(metrics) > 0]

    def _front(self, metrics: Sequence[str]) -> list[TrialRecord]:
        results_by_trial = {record.number: results(self._config, record) for record in self.best_first}
        candidates = [
            r for r in self.best_first if not self.broken(r) and results_by_trial[r.number].keys() >= {*metrics}
        ]
        return [
            record
            for record in candidates
            if not any(
                dominates(results_by_trial[other.number], results_by_trial[record.number], metrics)
                for other in candidates
            )
        ]

    @property
    def to_repeat(self) -> list[TrialRecord]:
        """The trials that are trained again with other seeds, the config's own values among them."""
        count = self._config.repeat_best
        chosen = self.best_first[:count]
        return [*chosen, *([self.default] if count and self.default and self.default not in chosen else [])]

    @property
    def missing_repeats(self) -> list[tuple[TrialRecord, int]]:
        """The missing repeats: each is a trial and the seed that it must still be trained with."""
        base = self._config.optimization.seed
        seeds = range(base + 1, base + 1 + self._config.seeds)
        done = {(record.repeats, record.parameters[SEED]) for record in self.records if record.repeats is not None}
        # The order is seed by seed, so that every trial has as many repeats when a search runs out of time.
        return [(trial, seed) for seed in seeds for trial in self.to_repeat if (trial.number, seed) not in done]

    @property
    def interrupted_repeats(self) -> list[TrialRecord]:
        """Repeats that have begun and have not ended."""
        return [record for record in self.records if record.repeats is not None and not record.ended]

    def repeats_of(self, trial: TrialRecord) -> list[TrialRecord]:
        """The finished trainings of a trial's values with other seeds, by seed."""
        return sorted(self._repeats.get(trial.number, []), key=lambda record: record.parameters[SEED])

    @property
    def winner(self) -> TrialRecord | None:
        """The best trial: by the mean of its repeats, if some are repeated; otherwise by its own error."""
        repeated = [trial for trial in self.best_first if len(self.repeats_of(trial)) == self._config.seeds]
        return min(repeated, key=self._mean_mm) if repeated else next(iter(self.best_first), None)

    @property
    def best(self) -> TrialRecord | None:
        """The training whose model is the result: the best one of the winner's repeats, or the winner itself."""
        return self.winner and min(self.models_of(self.winner), key=_by_error)

    def models_of(self, trial: TrialRecord) -> list[TrialRecord]:
        """The trainings that a trial is judged by: its repeats, or itself if it is not repeated."""
        return self.repeats_of(trial) or [trial]

    @property
    def kept(self) -> set[int]:
        """Numbers of the trials whose models stay in the output."""
        finished = sorted((r for r in self.records if r.state == "finished"), key=_by_error)
        kept = [*finished[: self._config.keep_models], *self.front, *filter(None, (self.default, self.best))]
        return {record.number for record in kept}

    @property
    def trials_since_best(self) -> int:
        """How many proposed trials have ended since the best one, or the last one of the front."""
        if not self.front:
            return 0
        last = max(record.number for record in self.front)
        return sum(record.ended and record.number > last for record in self.proposed)

    def _mean_mm(self, trial: TrialRecord) -> float:
        repeats = self.repeats_of(trial)
        return sum(record.best_mm or 0.0 for record in repeats) / len(repeats)


def results(config: TuneConfig, record: TrialRecord) -> dict[str, float]:
    """The numbers of a trial that it may be compared by, by metric."""
    error = {} if record.best_mm is None else {config.error_metric: record.best_mm}
    return {**record.measures, **error}


def _by_error(record: TrialRecord) -> tuple[float, int]:
    assert record.best_mm is not None
    return record.best_mm, record.number
