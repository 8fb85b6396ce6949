"""The worker of a lifter's training: `pipelines.training.worker` with the parts that belong to lifters."""

from typing import Any

from pipelines.io import storage
from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.train.data import load_data
from pipelines.train.initial_weights import read_copy
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import TrainingPlan
from pipelines.training.reports import EpochReport
from pipelines.training.worker import run_worker
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig

# The file in each checkpoint with the model for use.
LIFTER_FILE = "lifter.pt"
# The name of the number that checkpoints are ranked by: the error that the config names, mm.
SELECTION = "selection_mm"


def train_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `plan` and `card`, perhaps `load`, which reads tracks, and what `fit` adds.
    """
    config: TrainConfig = settings["config"]
    plan: TrainingPlan = settings["plan"]
    card: LifterCard = settings["card"]

    def make(workers: WorkerGroup) -> LifterTraining:
        initial = read_copy(settings["output"], config.lifter.name) if config.weights else None
        return LifterTraining(config, plan, load_data(config, plan, workers, settings.get("load")), workers, initial)

    def write_model(training: LifterTraining, folder: str) -> None:
        save_lifter(storage.join(folder, LIFTER_FILE), training.result, card)

    def score(report: EpochReport) -> float:
        # Without held-out tracks, the last epoch counts as the best.
        return report.validation[config.metric] if report.validation else -float(report.epoch)

    run_worker(settings, config.optimization.epochs, make, write_model, score)
