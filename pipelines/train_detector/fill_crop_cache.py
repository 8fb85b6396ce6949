"""Everybody cut out of their images and videos before training starts: one Ray task for each part that lacks it."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import ray

from pipelines.annotations.people.source import Part
from pipelines.io import storage
from pipelines.ray_cluster import session
from pipelines.train_detector.crop_cache import CanvasShape, CutSummary, cut_part, read_summary
from pipelines.train_detector.plan import DetectorPlan, canvas_file
from pipelines.video.isolated import IsolatedReader
from schemas.errors import RunFailed, UserError

# Opening an image or decoding a stretch of video keeps a CPU busy.
CPUS_PER_TASK = 1
# While a CPU works on a part, the next one waits for it.
PARTS_IN_FLIGHT_PER_CPU = 2
MOST_NAMED = 3
# Longest time for a few frames of a video.
DECODING_TIMEOUT_S = 120.0

OnCut = Callable[[int, int], None]
"""Hears (images done, images in all)."""


@dataclass(frozen=True)
class _Task:
    part: Part
    shape: CanvasShape
    file: str


def cut_people(
    output: str, plan: DetectorPlan, max_failed: int | None, retry: bool, on_cut: OnCut
) -> dict[str, CutSummary]:
    """Make the canvases that the output lacks; returns what each of its files holds, by URI.

    Args:
        output: Folder of the training.
        plan: Its people.
        max_failed: How many images may be unreadable; None: any number.
        retry: Try again to read what could not be read before.
        on_cut: Hears how far it is.

    Raises:
        UserError: More are unreadable.
        RunFailed: The output cannot be written.
    """
    tasks = [_Task(p, plan.net.shape, canvas_file(output, p, plan.net)) for p in (*plan.training, *plan.validation)]
    held = {task.file: read_summary(task.file) for task in tasks}
    done = {file: found for file, found in held.items() if found and not (found.unreadable and retry)}
    images, total = sum(t.part.images for t in tasks if t.file in done), sum(task.part.images for task in tasks)
    _require_few(done, max_failed)
    todo = [task for task in tasks if task.file not in done]
    if todo:
        on_cut(images, total)
    for task, summary in _cut_all(todo):
        done[task.file], images = summary, images + task.part.images
        on_cut(images, total)
        # At once: a folder that is wrong is wrong for the other hundred thousand, too.
        _require_few(done, max_failed)
    return done


def _cut_all(tasks: Sequence[_Task]) -> Iterator[tuple[_Task, CutSummary]]:
    """Cut parts, as many at a time as there are CPUs; yields each with what was found in it."""
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
    found = ray.get(ready)
    if isinstance(found, RunFailed):
        raise found
    return found


@ray.remote(num_cpus=CPUS_PER_TASK)
def _cut(task: _Task) -> CutSummary | RunFailed:
    try:
        storage.write_bytes(task.file, cut_part(task.part, task.shape, _reader()))
    except RunFailed as error:
        return error  # for the user; an exception would come with Ray's words around it
    summary = read_summary(task.file)
    assert summary is not None
    return summary


@cache
def _reader() -> IsolatedReader:
    """One for all tasks of a process: its child takes a second to start, a short video less."""
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
