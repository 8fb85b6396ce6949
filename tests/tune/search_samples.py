"""Small searches for tests, and a listener that writes down what it hears."""

from pathlib import Path
from typing import Any

from jobs.command_line.arguments import plugin_config, read_config
from pipelines.search.space import search_space
from pipelines.tune.run import TuneJob
from pipelines.tune.search import Search
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_space import Dimension
from schemas.configs.tune import TuneConfig

RATE = "optimization.learning_rate"


def tune_config(*fields: str, space: str = "{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}}") -> TuneConfig:
    """A config as the command line gives it."""
    named = ("labeled=a", "output=o", "data.validation_subjects=[S2]", f"search_space={space}")
    return read_config(TuneConfig, [*named, *fields])


def space_of(config: TuneConfig) -> dict[str, Dimension]:
    """Its search space, checked."""
    return search_space(config, plugin_config)


def leave_models(output: str, number: int) -> None:
    """Leave what a training leaves that has ended."""
    for name in ("best.pt", "last.pt"):
        Path(output, "trials", f"{number:03d}", name).write_bytes(f"lifter {number}".encode())


def job_of(config: TuneConfig, data: str = "digest") -> TuneJob:
    """A search that is known to be possible, over data of this digest."""
    return TuneJob(config, space_of(config), 5, data)


class Notes:
    """Hears a search."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def began(self, trial: TrialRecord) -> None:
        self.events.append(("began", trial.number))

    def epoch(self, trial: TrialRecord) -> None:
        self.events.append(("epoch", trial.number, max(trial.scores_mm)))

    def exploited(self, trial: TrialRecord) -> None:
        self.events.append(("exploited", trial.number, trial.exploited[-1]))

    def failed(self, trial: TrialRecord, reason: str) -> None:
        self.events.append(("failed", trial.number, reason))

    def interrupted(self, trial: TrialRecord) -> None:
        self.events.append(("interrupted", trial.number))

    def ended(self, trial: TrialRecord) -> None:
        self.events.append(("ended", trial.number, trial.state))


def report(best_mm: float, epoch: int) -> dict:
    return {"best_epoch": epoch, "best_validation_mm": best_mm, "data": "digest"}


def finish(search: Search, number: int, best_mm: float, epoch: int = 1) -> None:
    """A training has ended and has left its models."""
    leave_models(search.config.output, number)
    search.finish(number, report(best_mm, epoch))
