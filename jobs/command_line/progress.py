"""Shows on standard error how far a job is: bars on a terminal, elsewhere a line now and then."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from rich import progress as rich_progress
from rich.progress import BarColumn, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jobs.command_line.terminal import Terminal
from schemas.progress import Progress

# The interval shows that a job is alive, and keeps the log of a whole night short.
INTERVAL_S = 30.0


def make_bars(*, transient: bool = False, remaining: bool = True) -> rich_progress.Progress:
    """Bars on a terminal; in a file or a cluster's job log a line each `INTERVAL_S`.

    A task has a description and the field `shown`, the text beside its bar.

    Args:
        transient: Whether the bars are removed at the end.
        remaining: Whether the remaining time is shown, by how fast the bar moves.
    """
    console = Terminal(stderr=True)
    texts = [TextColumn(part, markup=False) for part in ("{task.description:<6}", "{task.fields[shown]}")]
    columns = [texts[0], BarColumn(), texts[1]]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()] if remaining else [TimeElapsedColumn()]
    kind = rich_progress.Progress if console.is_terminal else Lines
    return kind(*columns, console=console, transient=transient)


@contextmanager
def stage_bars(*, transient: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A bar for each stage of a job, from its first progress on; nothing is shown before that.

    Args:
        transient: Whether the bars are removed at the end.

    Yields:
        Function to call with each progress.
    """
    bars = make_bars(transient=transient)
    tasks: dict[str, TaskID] = {}
    with ExitStack() as shown:

        def on_progress(at: Progress) -> None:
            if not tasks:
                shown.enter_context(bars)
            if at.stage not in tasks:
                tasks[at.stage] = bars.add_task(at.stage, total=at.total, shown="")
            bars.update(tasks[at.stage], completed=at.done, total=at.total, shown=str(at))

        yield on_progress


def pace(run: Mapping[str, Any], started: str) -> str:
    """How much a run has done and how fast, for its summary.

    Args:
        run: The part "run" of the job's report.
        started: What took the time before the first frame: "to start".
    """
    if not run["frames"]:
        return f"nothing new, in {run['seconds']:.1f} s"
    speed = f"{run['startup_s']:.1f} s {started}, then {run['frames_per_s']:,.1f} frames/s"
    return f"{run['frames']:,} frames in {run['seconds']:.1f} s: {speed}"


class Lines(rich_progress.Progress):
    """Prints lines in place of bars, where nothing can be redrawn."""

    def __init__(self, *columns: rich_progress.ProgressColumn, **options: Any) -> None:
        super().__init__(*columns, **options, disable=True)
        self._printed_at = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Update a task, and print a line if the last one is `INTERVAL_S` old."""
        super().update(task_id, **changes)
        if time.monotonic() - self._printed_at < INTERVAL_S:
            return
        self._printed_at = time.monotonic()
        self._print(self._tasks[task_id])

    def stop(self) -> None:
        """Print the last state of each task, unless bars would be removed."""
        super().stop()
        if not self.live.transient:
            for task in self.tasks:
                self._print(task)

    def _print(self, task: Task) -> None:
        percent = f"{task.percentage:.0f} %" if task.total else ""
        parts = (task.description, percent, task.fields.get("shown", ""))
        line = "  ".join(part for part in parts if part)
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
