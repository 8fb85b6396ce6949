"""Train a lifter: 2D keypoints over time to 3D poses, on labeled tracks and, if given, unlabeled ones.

raylift train labeled=out/mocap unlabeled=out/tracks output=out/lifter
Small enough to try: … optimization.epochs=2 lifter.channels=32 lifter.filter_widths=[3,3]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("train"))

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from jobs.command_line.pages import keep_page
from jobs.command_line.terminal import Terminal, files_in
from jobs.command_line.training_display import TrainingDisplay, training_bars
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.entries import by_path
from pipelines.mlflow_runs.logged_models import ModelFile, Scores
from pipelines.ray_cluster import prometheus
from pipelines.train import run
from pipelines.training.fitting import require_room_here
from pipelines.training.reports import EpochReport
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig
from schemas.frame_window import frames_read

if TYPE_CHECKING:
    from pipelines.train.plan import TrainingPlan  # it loads PyTorch

# Errors of the figure, mm.
HELD_OUT = {"mpjpe_mm": "MPJPE", "p_mpjpe_mm": "P-MPJPE", "n_mpjpe_mm": "N-MPJPE"}


def main(config: TrainConfig) -> int:
    """Train, unless the output holds the finished training."""
    job = run.prepare(config)  # reports mistakes before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            Terminal().print(f"train: nothing to do: {config.output} holds the finished training")
            return 0
        # The page is imported here because it loads Plotly, which a job with nothing to do never needs.
        from pipelines.report.pages.training_page import training_page

        config = job.config
        require_room_here(config.resources)
        with runs.record("train", config, work.run_id) as record, training_bars() as bars:
            display = Display(bars, config, record)
            if job.plan.short_tracks:
                display.say(
                    f"{job.plan.short_tracks} tracks are shorter than the {job.plan.shape.window.inputs} frames that "
                    "the lifter reads: their first and last frames are repeated"
                )
            record.log_read(*track_sets(job.config, job.plan))
            if job.start is not None:
                record.log_used(job.start.sha256)
            if work.finished_epochs:
                display.say(
                    f"optimization.epochs: grew from {work.finished_epochs} to {config.optimization.epochs}; the "
                    "learning rate goes on falling as it did, the momentum of batch norm becomes that of more epochs"
                )
            report = run.execute(job, record.run_id, display)
            record.log_tags({"raylift.data": job.manifest.data})
            record.log_json(report, "report.json")
            keep_page(partial(training_page, report, display.history), config.output, "training.html", record)
            display.keep_curves(HELD_OUT, "mm", report["best_epoch"])
            best = storage.read_bytes(storage.join(config.output, "best.pt"), unparsed=True)
            record.log_bytes(best, "best.pt")
            log_models(record, job, report, display.history)
    show(report)
    return 0


def log_models(
    record: runs.Run, job: run.TrainJob, report: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
) -> None:
    """Note the checkpoints that are kept, the best and the last, as models of the run, with their scores."""
    from pipelines.lifters.checkpoint import read_card  # it loads PyTorch

    validation = track_sets(job.config, job.plan)[1]
    kept = {report["epochs"]: "last.pt", report["best_epoch"]: "best.pt"}  # both may be the same epoch
    scored = {epoch["epoch"]: epoch["validation"] for epoch in history}
    for epoch, name in sorted(kept.items()):
        address = storage.join(job.config.output, name)
        card, sha256 = read_card(address)
        metrics = by_path({"validation": scored.get(epoch, {})})
        scores = Scores(metrics, validation, epoch) if metrics else None
        record.log_model(ModelFile.of(address, sha256, card), epoch, scores)


def track_sets(config: TrainConfig | TuneConfig, plan: "TrainingPlan") -> list[TrackSet]:
    """What a training, or each of a search, reads, and what for."""
    return [
        TrackSet("training", config.labeled, plan.training),
        TrackSet("validation", config.labeled, plan.validation),
        TrackSet("unlabeled", config.unlabeled, plan.unlabeled),
    ]


class Display(TrainingDisplay):
    """Shows the progress, and logs each epoch in the MLflow run."""

    def __init__(self, bars: Progress, config: TrainConfig, record: runs.Run) -> None:
        super().__init__(bars, config.optimization.epochs, record, unit="frames", first="starting workers")
        self._config = config

    def epoch(self, report: EpochReport) -> None:
        """Print and log an epoch, unless an earlier run of the training has done so."""
        config = self._config
        compared = report.epoch > config.warmup_epochs
        if not self.log(report, config.metric if compared else None, least=True, pose_weight=config.objective.pose):
            return
        prometheus.count_epoch("train", frames=report.count, seconds=report.seconds)
        terms = "  ".join(f"{name} {value:.4f}" for name, value in report.losses.items())
        held_out = {name: report.validation.get(f"{name}_mm") for name in ("mpjpe", "p_mpjpe", "n_mpjpe", "mpjve")}
        errors = "  ".join(f"{name} {value:.1f}" for name, value in held_out.items() if value is not None)
        self.say(
            f"epoch {report.epoch}/{self._epochs}  {terms}  lr {report.learning_rate:.2e}  "
            f"{report.count / report.seconds:,.0f} frames/s" + (f"  held out, mm: {errors}" if errors else "")
        )


def show(report: dict[str, Any]) -> None:
    """Print the summary."""
    tracks, last = report["tracks"], report["last"]
    best, warmup = report["best_validation_mpjpe_mm"], report["warmup_epochs"]
    held_out = (
        ", the last"
        if best is None
        else f", {best:.1f} mm held out" + (f", of the epochs after the warm-up of {warmup}" if warmup else "")
    )
    rows = [
        ("tracks", ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in tracks.items() if count)),
        ("lifter", f"{frames_read(report)} frames at {report['fps']:g} frames/s"),
        ("epochs", f"{report['epochs']}" + (f", {last['frames_per_s']:,.0f} frames/s in the last" if last else "")),
        ("best", f"epoch {report['best_epoch']}{held_out}"),
        ("output", files_in(report["output"], "best.pt", "last.pt", "report.json", "training.html")),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<10}{value}")
