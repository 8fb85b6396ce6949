"""How far a job is, on standard error: bars where they can be redrawn, a line now and then where they cannot."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Often enough to see that a job lives, seldom enough for the log of a night.
INTERVAL_S = 30.0


def make_progress(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """Bars on a terminal; in a file or a cluster's job log a line each `INTERVAL_S`.

    Args:
        *columns: Of the bars; lines show the field `shown` of a task, where it has one.
        transient: Whether bars are removed at the end.
    """
    console = Console(stderr=True)
    kind = Progress if console.is_terminal else Lines
    return kind(*columns, console=console, transient=transient)


OnStage = Callable[[str, float, float, str], None]
"""Called with a stage, how much of it is done, of how much, and that in words."""


@contextmanager
def stage_bars() -> Iterator[OnStage]:
    """A bar for each stage of a job, from when it is first heard of."""
    columns = (TextColumn("{task.description:<6}"), BarColumn(), TextColumn("{task.fields[shown]}"))
    with make_progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def on_stage(stage: str, done: float, total: float, shown: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, shown="")
            bars.update(tasks[stage], completed=done, total=total, shown=shown)

        yield on_stage


def pace(this: Mapping[str, Any], started: str) -> str:
    """What a run of a job has done and how fast, for its summary; `started` says what took it time before that."""
    if not this["frames"]:
        return f"nothing new, in {this['seconds']:.1f} s"
    then = f"{this['startup_s']:.1f} s {started}, then {this['frames_per_s']:,.1f} frames/s"
    return f"{this['frames']:,} frames in {this['seconds']:.1f} s: {then}"


class Lines(Progress):
    """Progress for where nothing can be redrawn: lines in place of bars."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        super().__init__(*columns, **options, disable=True)
        self._told_at = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As ever, and a line if the last one is some time ago."""
        super().update(task_id, **changes)
        if time.monotonic() - self._told_at < INTERVAL_S:
            return
        self._told_at = time.monotonic()
        self._tell(self._tasks[task_id])

    def stop(self) -> None:
        """Say how far it came, where bars would stay too."""
        super().stop()
        if not self.live.transient:
            for task in self.tasks:
                self._tell(task)

    def _tell(self, task: Task) -> None:
        share = f"{task.percentage:.0f} %" if task.total else ""
        parts = (task.description, share, task.fields.get("shown", ""))
        line = "  ".join(part for part in parts if part)
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
