"""Fills the crop cache before training starts: one Ray task for each part whose people are not cut out yet."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import ray

from pipelines.annotations.people.source import Part
from pipelines.io import storage
from pipelines.ray_cluster import session
from pipelines.train_detector.canvas_shape import CanvasShape
from pipelines.train_detector.crop_cache import CutSummary, cut_part, read_summary
from pipelines.train_detector.plan import CropFiles, DetectorPlan
from pipelines.video.isolated import IsolatedReader
from schemas.errors import RunFailed, UserError

# A task needs one CPU, which opening an image or decoding video keeps busy.
CPUS_PER_TASK = 1
# One more part is queued while a CPU works on one, so that no CPU waits for the driver.
PARTS_IN_FLIGHT_PER_CPU = 2
# An error message names at most this many unreadable images.
MOST_NAMED = 3
# Time limit for decoding a few frames of a video, s.
DECODING_TIMEOUT_S = 120.0

OnCut = Callable[[int, int], None]
"""Called with (images done, images in total)."""


@dataclass(frozen=True)
class _Task:
    part: Part
    shape: CanvasShape
    file: str


def cut_people(
    plan: DetectorPlan, files: CropFiles, max_failed: int | None, retry: bool, on_cut: OnCut
) -> dict[str, CutSummary]:
    """Cut out the people whose files are missing; returns the summary of every file, by URI.

    Args:
        plan: The people.
        files: Where their canvases are kept.
        max_failed: How many images may be unreadable; None: any number.
        retry: Whether to read images again that could not be read before.
        on_cut: Called with the progress.

    Raises:
        UserError: More images than that are unreadable.
        RunFailed: A file cannot be written.
    """
    parts, uris = (*plan.training, *plan.validation), (*files.training, *files.validation)
    tasks = [_Task(part, plan.net.shape, uri) for part, uri in zip(parts, uris, strict=True)]
    existing = {task.file: read_summary(task.file) for task in tasks}
    done = {file: summary for file, summary in existing.items() if summary and not (summary.unreadable and retry)}
    images, total = sum(t.part.images for t in tasks if t.file in done), sum(task.part.images for task in tasks)
    _require_few(done, max_failed)
    todo = [task for task in tasks if task.file not in done]
    if todo:
        on_cut(images, total)
    for task, summary in _cut_all(todo):
        done[task.file], images = summary, images + task.part.images
        on_cut(images, total)
        # The check follows each part, because with a wrong folder none of perhaps 100,000 images can be read.
        _require_few(done, max_failed)
    return done


def _cut_all(tasks: Sequence[_Task]) -> Iterator[tuple[_Task, CutSummary]]:
    """Cut the people of parts, as many parts at a time as there are CPUs; yields each with its summary."""
    if not tasks:
        return
    session.connect()
    most = max(1, int(ray.cluster_resources().get("CPU", 1))) * PARTS_IN_FLIGHT_PER_CPU
    waiting, working = deque(tasks), {}
    try:
        while waiting or working:
            while waiting and len(working) < most:
                task = waiting.popleft()
                working[_cut.remote(task)] = task
            (ready,), _ = ray.wait(list(working))
            yield working.pop(ready), _result(ready)
    finally:
        for pending in working:
            ray.cancel(pending)


def _result(ready: ray.ObjectRef) -> CutSummary:
    result = ray.get(ready)
    if isinstance(result, RunFailed):
        raise result
    return result


@ray.remote(num_cpus=CPUS_PER_TASK)
def _cut(task: _Task) -> CutSummary | RunFailed:
    try:
        storage.write_bytes(task.file, cut_part(task.part, task.shape, _reader()))
    except RunFailed as error:
        return error  # returned, because Ray wraps the message of an exception in its own
    summary = read_summary(task.file)
    assert summary is not None
    return summary


@cache
def _reader() -> IsolatedReader:
    """One reader for all tasks of a process: its child process takes a second to start, longer than a short video."""
    return IsolatedReader(DECODING_TIMEOUT_S)


def _require_few(done: Mapping[str, CutSummary], max_failed: int | None) -> None:
    unreadable = [one for summary in done.values() for one in summary.unreadable]
    if max_failed is None or len(unreadable) <= max_failed:
        return
    named = "; ".join(f"{one.name}: {one.reason}" for one in unreadable[:MOST_NAMED])
    more = "; …" if len(unreadable) > MOST_NAMED else ""
    raise UserError(
        f"max_failed={max_failed}: {len(unreadable)} images or stretches of video cannot be read: {named}{more}; "
        "repair them, or allow for more"
    )
