"""The worker of an aligner's training: `pipelines.training.worker` with the parts that belong to aligners."""

from typing import Any

from pipelines.aligners.checkpoint import AlignerCard, save_aligner
from pipelines.aligners.in_order import read_groups
from pipelines.io import storage
from pipelines.train_aligner.loop import AlignerTraining
from pipelines.train_aligner.plan import AlignerPlan
from pipelines.training.reports import EpochReport
from pipelines.training.worker import run_worker
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_aligner import TrainAlignerConfig

# The file in each checkpoint with the model for use.
ALIGNER_FILE = "aligner.pt"
# The name of the number that checkpoints are ranked by: Kendall's tau of people held out, else the epoch.
SELECTION = "selection"


def train_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `plan` and `card`, and what `fit` adds.
    """
    config: TrainAlignerConfig = settings["config"]
    plan: AlignerPlan = settings["plan"]
    card: AlignerCard = settings["card"]

    def make(workers: WorkerGroup) -> AlignerTraining:
        return AlignerTraining(config, read_groups(plan.training), read_groups(plan.validation), workers)

    def write_model(training: AlignerTraining, folder: str) -> None:
        save_aligner(storage.join(folder, ALIGNER_FILE), training.model, card)

    def score(report: EpochReport) -> float:
        return report.validation.get("kendalls_tau", float(report.epoch))

    run_worker(settings, config.optimization.epochs, make, write_model, score)
