"""Train a 2D keypoint detector (HRNet, ViTPose) on labeled people, from fresh or from trained weights.

raylift train_detector data=coco data.annotations=train.json data.images=train2017 output=out/hrnet
Small enough to try: the recipe detector_studio, on people of raylift synthesize
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("train_detector"))

from collections.abc import Iterator, Sequence
from typing import Any

from rich.progress import Progress

from jobs.command_line.terminal import Terminal, files_in
from jobs.command_line.training_display import TrainingDisplay, training_bars
from pipelines.annotations.people.source import Part, digest_of
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import Context, FileSet, addresses_of
from pipelines.ray_cluster import prometheus
from pipelines.train_detector import run
from pipelines.training.fitting import require_room_here
from pipelines.training.reports import EpochReport
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.job_config import PluginConfig

# The labels of scores, in the order in which they are shown.
SCORES = {"ap": "AP", "ap_50": "AP50", "ap_75": "AP75", "pckh": "PCKh@0.5", "mean_oks": "OKS"}


def main(config: TrainDetectorConfig) -> int:
    """Train, unless the output holds the finished training."""
    job = run.prepare(config)  # reports mistakes before anything is written
    plan = job.plan
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            Terminal().print(f"train_detector: nothing to do: {config.output} holds the finished training")
            return 0
        require_room_here(config.resources)
        with runs.record("train_detector", config, work.run_id) as record, training_bars() as bars:
            record.log_read(*people_sets(job))
            display = Display(bars, config.optimization.epochs, record)
            if plan.fresh_head and plan.start is not None:
                display.say(
                    f"weights: {plan.start.uri} finds {plan.start.layout or 'no known'} joints, the data have "
                    f"{plan.layout.name}: the last layer begins anew"
                )
            report = run.execute(job, record.run_id, display)
            record.log_tags({"raylift.data": plan.digest})
            record.log_json(report, "report.json")
            display.keep_curves(SCORES, "share", report["best_epoch"])
            best = storage.read_bytes(storage.join(config.output, "best.pt"), unparsed=True)
            record.log_bytes(best, "best.pt")
    show(report)
    return 0


def people_sets(job: run.TrainDetectorJob) -> Iterator[FileSet]:
    """The annotated people that the training reads, and what for."""
    config, plan = job.config, job.plan
    parts: dict[Context, tuple[PluginConfig | None, Sequence[Part]]] = {
        "training": (config.data, plan.training),
        "validation": (config.validation, plan.validation),
    }
    for context, (source, of_source) in parts.items():
        if source is not None:
            counts = {"images": sum(part.images for part in of_source), "layout": plan.layout.name}
            digest = digest_of([part.digest for part in of_source])
            yield FileSet(context, addresses_of(source.options), "people", digest, counts)


class Display(TrainingDisplay):
    """Shows the progress, and logs each epoch in the MLflow run."""

    def __init__(self, bars: Progress, epochs: int, record: runs.Run) -> None:
        super().__init__(bars, epochs, record, unit="people", first="looking up what is there")

    def cut(self, done: int, total: int) -> None:
        """Show how many images people were cut out of, which comes before the first epoch."""
        text = f"{done:,} of {total:,} images" if done < total else "starting workers"
        self._bars.update(self._task, completed=done, total=total, description="cutting people out", shown=text)

    def epoch(self, report: EpochReport) -> None:
        """Print and log an epoch, unless an earlier run of the training has done so."""
        if not self.log(report, "ap" if "ap" in report.validation else "pckh"):
            return
        prometheus.count_epoch("train_detector", people=report.count, seconds=report.seconds)
        self.say(
            f"epoch {report.epoch}/{self._epochs}  loss {report.losses['total']:.6f}  lr {report.learning_rate:.1e}  "
            f"{report.count / report.seconds:,.0f} people/s"
            + (f"  held out: {format_scores(report.validation)}" if report.validation else "")
        )


def format_scores(scores: dict[str, float]) -> str:
    """Scores in percent, in one line."""
    return "  ".join(f"{label} {100 * scores[name]:.1f}" for name, label in SCORES.items() if name in scores)


def show(report: dict[str, Any]) -> None:
    """Print the summary."""
    people, last = report["people"], report["last"]
    held_out = format_scores(report["best"]) if report["best"] else "the last: nobody was held out"
    detector, channels = report["detector"], report["channels"]
    net = f"HRNet-W{channels}" if detector == "hrnet" else f"ViTPose of {channels} channels"
    rows = [
        ("people", ", ".join(f"{count:,} {name}" for name, count in people.items() if count)),
        ("net", f"{net}, {report['input_size']}, joints {report['layout']}"),
        ("epochs", f"{report['epochs']}, {last['people_per_s']:,.0f} people/s in the last"),
        ("best", f"epoch {report['best_epoch']}, {held_out}"),
        ("output", files_in(report["output"], "best.pt", "last.pt", "report.json")),
        (
            "use it",
            f"raylift label detector={detector} detector.weights={report['output']}/best.pt videos=… output=…",
        ),
        (
            "",
            "with one person who fills the picture, detector.persons.name=whole_frame fetches no model to find people",
        ),
    ]
    if report["unreadable"]:
        rows.insert(1, ("unreadable", f"{report['unreadable']:,} images or stretches of video, named in report.json"))
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<11}{value}")
