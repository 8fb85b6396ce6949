"""Train an aligner: embeddings of keypoints in which recordings of one action are in step, from whatever side.

raylift train_aligner tracks=out/tracks output=out/aligner data.pairs=take
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("train_aligner"))

from typing import Any

from rich.progress import Progress

from jobs.command_line.terminal import Terminal, files_in
from jobs.command_line.training_display import TrainingDisplay, training_bars
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.logged_models import ModelFile, Scores
from pipelines.train_aligner import run
from pipelines.training.fitting import require_room_here
from pipelines.training.reports import EpochReport
from schemas.configs.train_aligner import TrainAlignerConfig


def main(config: TrainAlignerConfig) -> int:
    """Train, unless the output holds the finished training."""
    job = run.prepare(config)
    if not storage.exists(config.output):
        _ = job.plan  # reports mistakes before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            Terminal().print(f"train_aligner: nothing to do: {config.output} holds the finished training")
            return 0
        _ = job.plan
        require_room_here(config.resources)
        with runs.record("train_aligner", config, work.run_id) as record, training_bars() as bars:
            record.log_read(*track_sets(job))
            display = Display(bars, config.optimization.epochs, record)
            report = run.execute(job, record.run_id, display)
            record.log_tags({"raylift.data": job.manifest.data})
            record.log_json(report, "report.json")
            display.keep_curves({"kendalls_tau": "Kendall's tau"}, "tau", report["best_epoch"])
            best = storage.read_bytes(storage.join(config.output, "best.pt"), unparsed=True)
            record.log_bytes(best, "best.pt")
            log_model(record, job, report)
    show(report)
    return 0


def log_model(record: runs.Run, job: run.TrainAlignerJob, report: dict[str, Any]) -> None:
    """Note the best checkpoint as a model of the run, with its score."""
    from pipelines.aligners.checkpoint import read_card  # it loads PyTorch

    address, tau = storage.join(job.config.output, "best.pt"), report["best_kendalls_tau"]
    card, sha256 = read_card(address)
    validation, epoch = track_sets(job)[1], report["best_epoch"]
    scores = None if tau is None else Scores({"validation/kendalls_tau": tau}, validation, epoch)
    record.log_model(ModelFile.of_aligner(address, sha256, card), epoch, scores)


def track_sets(job: run.TrainAlignerJob) -> list[TrackSet]:
    """What the training reads, and what for."""
    training, validation = (
        [track for group in groups.values() for track in group] for groups in (job.plan.training, job.plan.validation)
    )
    tracks = job.config.tracks
    return [TrackSet("training", tracks, training), TrackSet("validation", tracks, validation)]


class Display(TrainingDisplay):
    """Shows the progress, and logs each epoch in the MLflow run."""

    def __init__(self, bars: Progress, epochs: int, record: runs.Run) -> None:
        super().__init__(bars, epochs, record, unit="frames", first="starting workers")

    def epoch(self, report: EpochReport) -> None:
        """Print and log an epoch, unless an earlier run of the training has done so."""
        if not self.log(report, "kendalls_tau"):
            return
        tau = report.validation.get("kendalls_tau")
        self.say(
            f"epoch {report.epoch}/{self._epochs}  loss {report.losses['total']:.4f}  "
            f"{report.count / report.seconds:,.0f} frames/s" + ("" if tau is None else f"  held out: tau {tau:.3f}")
        )


def show(report: dict[str, Any]) -> None:
    """Print the summary."""
    tau = report["best_kendalls_tau"]
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in report["recordings"].items() if count)
    rows = [
        ("recordings", f"{counts}, of {report['actions']:,} actions"),
        ("best", f"epoch {report['best_epoch']} of {report['epochs']}"),
        ("held out", "nobody" if tau is None else f"Kendall's tau {tau:.3f} of the nearest frames"),
        ("output", files_in(report["output"], "best.pt", "last.pt", "report.json")),
        ("use it", f"raylift align aligner={report['output']}/best.pt tracks=… reference=… output=…"),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<12}{value}")
