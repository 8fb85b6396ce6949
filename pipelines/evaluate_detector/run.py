"""A detector's evaluation from start to end: survey the output, look at the images missing, score, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.annotations.coco import CocoKeypoints
from pipelines.annotations.coco_results import write_results
from pipelines.evaluate_detector import pipeline
from pipelines.evaluate_detector.ledger import Ledger, read_ledger, read_predictions, retire_errors
from pipelines.evaluate_detector.plan import Plan, plan
from pipelines.evaluate_detector.score import Scores, score
from pipelines.io import json_documents, storage
from schemas import __version__
from schemas.configs.evaluate_detector import EvaluateDetectorConfig

FORMAT = "raylift.detector_metrics/1"


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        plan: The evaluation.
        ledger: What the output holds.
        todo: The tasks that are not done.
    """

    plan: Plan
    ledger: Ledger
    todo: list[dict[str, Any]]


@dataclass(frozen=True)
class Progress:
    """How far the looking at images is; those of runs before count as done."""

    done: int
    total: int
    people: int
    failed: int


@dataclass
class _Tally:
    """Running sums over the images that this run looked at; seconds are summed over all workers."""

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


def survey(config: EvaluateDetectorConfig) -> Work:
    """Plan the evaluation and compare it with what the output holds.

    Raises:
        UserError: The evaluation is not possible, or the output was made with other settings.
    """
    planned, folder = plan(config), _folder(config)
    ledger = read_ledger(folder, planned.settings)
    return Work(planned, ledger, [task for task in planned.tasks if task["image_id"] not in ledger.done])


def execute(config: EvaluateDetectorConfig, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Look at what is missing and score all; returns the report, which is also written to `metrics.json`.

    Raises:
        UserError: The detector cannot be built or finds other joints than are annotated.
        RunFailed: The output cannot be written.
    """
    folder, planned, ledger = _folder(config), work.plan, work.ledger
    started, tally = time.perf_counter(), _Tally()
    if work.todo:
        storage.remove_leftovers(folder)
        total = len(planned.tasks)
        before = total - len(work.todo)
        on_progress(Progress(before, total, 0, 0))
        retire_errors(ledger)
        for row in pipeline.run_estimation(planned, work.todo, ledger, folder, config.workers):
            tally.add(row)
            on_progress(Progress(before + tally.images, total, tally.people, tally.failed))
        ledger = read_ledger(folder, planned.settings)
    looked_s = time.perf_counter() - started
    predictions = read_predictions(folder, planned.image_ids, len(planned.joints))
    scores = score(planned, predictions, config.max_similarity)
    run = {
        **vars(tally),
        "seconds": looked_s,
        "images_per_s": tally.images / looked_s if tally.images else 0.0,
        "people_per_s": tally.people / looked_s if tally.images else 0.0,
    }
    report = _report(config, planned, ledger, scores, len(predictions.image_ids)) | {"run": run}
    if isinstance(planned.truth, CocoKeypoints):
        write_results(storage.join(config.output, "predictions.json"), scores.found)
    json_documents.write(storage.join(config.output, "metrics.json"), report)
    return report


def _report(
    config: EvaluateDetectorConfig, planned: Plan, ledger: Ledger, scores: Scores, people_found: int
) -> dict[str, Any]:
    failures = ledger.failures({task["image_id"] for task in planned.tasks})
    kind = "coco" if isinstance(planned.truth, CocoKeypoints) else "mpii"
    notes = list(scores.notes)
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


def _folder(config: EvaluateDetectorConfig) -> str:
    return storage.join(storage.absolute(config.output), "predictions")
