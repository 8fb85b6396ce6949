"""Train a lifter: 2D keypoints over time to 3D poses, on labeled tracks and, if given, unlabeled ones.

python -m jobs.train labeled=out/mocap unlabeled=out/tracks output=out/lifter
Small enough to try: … optimization.epochs=2 lifter.channels=32 lifter.filter_widths=[3,3]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.cli import run_job
from pipelines import runs, storage
from pipelines.train import run
from pipelines.train.data import plan_data
from pipelines.train.loop import EpochReport
from schemas.train import TrainConfig


def main(config: TrainConfig) -> int:
    """Train what the output lacks."""
    plan = plan_data(config)  # before anything is written
    with storage.sole_writer(config.output):
        begun = run.look_up(config)
        if begun is not None and begun.report is not None:
            print(f"train: nothing to do: {config.output} holds the finished training")
            return 0
        with runs.record("train", config, begun.run_id if begun else None) as record, progress(config) as shown:
            run.begin(config, record.run_id)
            logged = record.last("epoch") or 0

            def on_epoch(epoch: EpochReport) -> None:
                shown.epoch(epoch)
                if epoch.epoch > logged:  # a restarted worker repeats what was not yet saved
                    record.log_metrics(epoch.metrics(), step=epoch.epoch)

            if plan.short_tracks:
                shown.say(
                    f"{plan.short_tracks} tracks are shorter than the receptive field of {plan.shape.receptive_field} "
                    "frames: their first and last frames are repeated"
                )
            report = run.execute(config, plan, record.run_id, on_epoch, shown.step)
            record.log_tags({"raylift.data": plan.digest})
            record.log_json(report, "report.json")
    show(report)
    return 0


class Display:
    """A line for each epoch, and a bar within it, on standard error."""

    def __init__(self, bars: Progress, epochs: int) -> None:
        self._bars, self._epochs, self._last = bars, epochs, 0
        self._task = bars.add_task("", total=None, shown="starting workers")

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def step(self, at: run.StepReport) -> None:
        """Move the bar."""
        self._bars.update(
            self._task,
            completed=at.step,
            total=at.steps,
            description=f"epoch {at.epoch}/{self._epochs}",
            shown=f"{at.frames_per_s:,.0f} frames/s",
        )

    def epoch(self, epoch: EpochReport) -> None:
        """Print an epoch's line."""
        if epoch.epoch <= self._last:
            self.say(f"a worker was replaced: epoch {epoch.epoch} again")
        self._last = epoch.epoch
        terms = "  ".join(f"{name} {value:.4f}" for name, value in epoch.losses.items())
        held_out = {name: epoch.validation.get(f"{name}_mm") for name in ("mpjpe", "p_mpjpe", "n_mpjpe", "mpjve")}
        told = "  ".join(f"{name} {value:.1f}" for name, value in held_out.items() if value is not None)
        self.say(
            f"epoch {epoch.epoch}/{self._epochs}  {terms}  lr {epoch.learning_rate:.2e}  "
            f"{epoch.frames / epoch.seconds:,.0f} frames/s" + (f"  held out, mm: {told}" if told else "")
        )


@contextmanager
def progress(config: TrainConfig) -> Iterator[Display]:
    """The display while training."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[shown]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Display(bars, config.optimization.epochs)


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    tracks, last = report["tracks"], report["last"]
    best = report["best_validation_mpjpe_mm"]
    rows = [
        ("tracks", ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in tracks.items() if count)),
        ("lifter", f"{report['receptive_field']} frames at {report['fps']:g} frames/s"),
        ("epochs", f"{report['epochs']}" + (f", {last['frames_per_s']:,.0f} frames/s in the last" if last else "")),
        ("best", f"epoch {report['best_epoch']}" + (f", {best:.1f} mm held out" if best is not None else ", the last")),
        ("output", f"{report['output']}/best.pt, /last.pt, /report.json"),
    ]
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for name, value in rows:
        console.print(f"{name:<10}{value}")


if __name__ == "__main__":
    raise SystemExit(run_job("train"))
