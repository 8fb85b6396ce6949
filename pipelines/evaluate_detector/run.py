"""The evaluate_detector job from start to end.

1. `prepare`: annotations are read, boxes and images chosen, addresses and settings resolved.
2. `survey`: the output is read; what it lacks is the work.
3. `execute`: keypoints are found in the missing images, all images are scored, the report is written.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.annotations.coco import CocoKeypoints
from pipelines.annotations.coco_results import write_results
from pipelines.detectors.loading import require_use_of_gpus
from pipelines.evaluate_detector.ledger import Ledger, read_ledger, read_predictions, retire_errors
from pipelines.evaluate_detector.plan import Plan, plan
from pipelines.evaluate_detector.score import Scores, score
from pipelines.evaluate_detector.trained_on import notes_of_training
from pipelines.io import json_documents, storage
from schemas import __version__
from schemas.configs.evaluate_detector import EvaluateDetectorConfig
from schemas.progress import Progress

FORMAT = "raylift.detector_metrics/1"


@dataclass(frozen=True)
class Job:
    """An evaluation of a detector that is known to be possible.

    Attributes:
        config: Its config.
        output: The output, by an address that holds in any process: workers may start in another folder.
        plan: What is evaluated on what.
    """

    config: EvaluateDetectorConfig
    output: str
    plan: Plan

    @property
    def predictions(self) -> str:
        """Folder of the predictions."""
        return storage.join(self.output, "predictions")


@dataclass(frozen=True)
class Work:
    """What the output of a job holds, and what it lacks.

    Attributes:
        ledger: What it holds.
        tasks: The tasks that are not done.
    """

    ledger: Ledger
    tasks: Sequence[dict[str, Any]]

    @property
    def nothing_to_do(self) -> bool:
        """Whether all images are done; they are scored anew even then."""
        return not self.tasks


@dataclass
class _Tally:
    """Running sums over the images of this run; seconds are summed over all workers."""

    images: int = 0
    people: int = 0
    failed: int = 0
    read_s: float = 0.0
    detect_s: float = 0.0

    def add(self, row: dict[str, Any]) -> None:
        self.images += 1
        self.people += row["people"]
        self.failed += row["error"] is not None
        self.read_s += row["read_s"] or 0.0
        self.detect_s += row["detect_s"] or 0.0

    def summary(self) -> str:
        return f"{self.people:,} people" + (f", {self.failed} failed" if self.failed else "")


def prepare(config: EvaluateDetectorConfig) -> Job:
    """Read the annotations, choose boxes and images, and resolve addresses and settings.

    Raises:
        UserError: The evaluation is not possible.
    """
    require_use_of_gpus(config.detector, config.workers.gpus_per_detector)
    return Job(config, storage.absolute(config.output), plan(config))


def survey(job: Job) -> Work:
    """Compare the images with what the output holds.

    Raises:
        UserError: The output was begun with other settings.
    """
    ledger = read_ledger(job.predictions, job.plan.settings)
    return Work(ledger, [task for task in job.plan.tasks if task["image_id"] not in ledger.done])


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Do the work and score all images; returns the report, which is also written to `metrics.json`.

    Args:
        job: The job.
        work: What its output lacks.
        on_progress: Called often.

    Raises:
        UserError: The detector cannot be built or finds other joints than are annotated.
        RunFailed: The output cannot be written.
    """
    config, planned, ledger = job.config, job.plan, work.ledger
    started, tally = time.perf_counter(), _Tally()
    if work.tasks:
        from pipelines.evaluate_detector import (
            pipeline,
        )  # here: it loads Ray, which a job with nothing to do never needs

        storage.remove_leftovers(job.predictions)
        total = len(planned.tasks)
        resumed = total - len(work.tasks)
        on_progress(Progress("detect", resumed, total, "images"))
        retire_errors(ledger)
        for row in pipeline.run_estimation(planned, work.tasks, ledger, job.predictions, config.workers):
            tally.add(row)
            on_progress(Progress("detect", resumed + tally.images, total, "images", tally.summary()))
        ledger = read_ledger(job.predictions, planned.settings)
    detection_s = time.perf_counter() - started
    predictions = read_predictions(job.predictions, planned.image_ids, len(planned.joints))
    scores = score(planned, predictions, config.max_similarity)
    run = {
        **vars(tally),
        "seconds": detection_s,
        "images_per_s": tally.images / detection_s if tally.images else 0.0,
        "people_per_s": tally.people / detection_s if tally.images else 0.0,
    }
    report = _report(config, planned, ledger, scores, len(predictions.image_ids)) | {"run": run}
    if isinstance(planned.truth, CocoKeypoints):
        write_results(storage.join(config.output, "predictions.json"), scores.predictions)
    json_documents.write(storage.join(config.output, "metrics.json"), report)
    return report


def _report(
    config: EvaluateDetectorConfig, planned: Plan, ledger: Ledger, scores: Scores, people_found: int
) -> dict[str, Any]:
    failures = ledger.failures({task["image_id"] for task in planned.tasks})
    kind = "coco" if isinstance(planned.truth, CocoKeypoints) else "mpii"
    notes = [*planned.truth.notes, *scores.notes, *notes_of_training(planned.detector, planned.truth.sha256)]
    if config.limit is not None and len(planned.image_ids) == config.limit:
        notes.append(f"limit={config.limit}: a part of the images, so no published score compares")
    if failures:
        notes.append(f"{len(failures)} images failed: whoever is annotated in them counts as not found")
    return {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "annotations": {"uri": config.annotations, "kind": kind, "sha256": planned.truth.sha256},
        "settings": planned.settings,
        "detector": {
            **planned.detector.model_dump(mode="json"),
            "layout": ledger.layout,
            "weights_sha256": ledger.weights_sha256,
        },
        "boxes": config.boxes,
        "joints": planned.joints,
        "images": len(planned.image_ids),
        "images_looked_at": len(planned.tasks) - len(failures),
        "images_failed": len(failures),
        "people_annotated": scores.people,
        "people_found": people_found,
        "metrics": scores.metrics,
        "notes": notes,
        "failures": failures,
    }
