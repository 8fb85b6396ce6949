"""The worker of an aligner's training: `pipelines.training.worker` with the parts that belong to aligners."""

from typing import Any

from pipelines.aligners.checkpoint import save_aligner
from pipelines.aligners.sequences import of_keypoints
from pipelines.io import storage
from pipelines.tracks.keypoint_reader import read_rows
from pipelines.train_aligner.loop import AlignerTraining, Recordings
from pipelines.train_aligner.plan import AlignerPlan, Groups
from pipelines.training.reports import EpochReport
from pipelines.training.worker import run_worker
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_aligner import TrainAlignerConfig

# The model for use in each checkpoint.
ALIGNER_FILE = "aligner.pt"
# The number that checkpoints are ranked by: Kendall's tau of people held out, else the epoch.
SELECTION = "selection"


def train_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config` and `plan`, and what `fit` adds.
    """
    config: TrainAlignerConfig = settings["config"]
    plan: AlignerPlan = settings["plan"]

    def make(workers: WorkerGroup) -> AlignerTraining:
        return AlignerTraining(config, read_groups(plan.training), read_groups(plan.validation), workers)

    def write_model(training: AlignerTraining, folder: str) -> None:
        save_aligner(storage.join(folder, ALIGNER_FILE), training.model, config.network)

    def score(report: EpochReport) -> float:
        return report.validation.get("kendalls_tau", float(report.epoch))

    run_worker(settings, config.optimization.epochs, make, write_model, score)


def read_groups(groups: Groups) -> Recordings:
    """The recordings of each action, in memory.

    Raises:
        UserError: One cannot be compared: it has no frame rate, or its trunk is never seen.
    """
    tracks = [track for group in groups.values() for track in group]
    people = {(track.track_id): of_keypoints(track) for track in read_rows(tracks, labels=False)}
    return {name: [people[track.track_id] for track in group] for name, group in groups.items()}
