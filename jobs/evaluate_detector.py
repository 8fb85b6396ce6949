"""Evaluate a 2D keypoint detector on annotated images: COCO's AP, AR and mean OKS, or MPII's PCKh.

raylift evaluate_detector annotations=coco/person_keypoints_val2017.json images=coco/val2017 output=out/coco
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("evaluate_detector"))

from collections.abc import Iterator, Mapping
from typing import Any

from rich.columns import Columns
from rich.console import Console

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal
from pipelines.annotations.people.source import digest_of
from pipelines.evaluate_detector import run
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import FileSet
from schemas.configs.evaluate_detector import EvaluateDetectorConfig

BOXES = {"truth": "annotated boxes", "detected": "people found by the detector itself"}
# Columns of the table: label and name of the metric.
COCO_COLUMNS = {"AP": "ap", "AP50": "ap_50", "AP75": "ap_75", "APM": "ap_medium", "APL": "ap_large", "AR": "ar"}
MAX_FAILURES = 8


def main(config: EvaluateDetectorConfig) -> int:
    """Find people in the images that the output lacks and score all; 1 if more than `max_failed` images failed."""
    job = run.prepare(config)  # before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        with runs.record("evaluate_detector", config) as record, stage_bars() as on_progress:
            record.log_read(people_set(job))
            report = run.execute(job, work, on_progress)
            record.log_metrics(report["metrics"] | {"run": report["run"], "images_failed": report["images_failed"]})
            record.log_tags(
                {
                    "raylift.annotations_sha256": report["annotations"]["sha256"],
                    "raylift.weights_sha256": report["detector"]["weights_sha256"] or "",
                }
            )
            record.log_json(report, "metrics.json")
    show(report)
    return int(config.max_failed is not None and report["images_failed"] > config.max_failed)


def people_set(job: run.Job) -> FileSet:
    """The annotated people that the detector is scored on."""
    config, plan = job.config, job.plan
    # A whole file is identified by its own hash; if only some of its images are used, their ids are hashed too.
    is_whole, sha256 = len(plan.image_ids) == len(plan.truth.images), plan.truth.sha256[:32]
    digest = sha256 if is_whole else digest_of(sha256, plan.image_ids)
    counts = {"images": len(plan.image_ids), "people": len(plan.truth), "joints": len(plan.joints)}
    return FileSet("testing", (config.annotations, config.images), "people", digest, counts)


def show(report: Mapping[str, Any]) -> None:
    """The summary, one screen."""
    console = Terminal()
    this, detector = report["run"], report["detector"]
    flipped = ", averaged with the mirror image's" if detector.get("flip") else ""
    boxes = BOXES.get(report["boxes"], f"boxes of {report['boxes']}")
    images = f"{report['images_looked_at']:,} looked at, {report['images_failed']:,} failed"
    if others := report["images"] - report["images_looked_at"] - report["images_failed"]:
        images += f"; in {others:,} more there is no box to look into"
    rows = [
        ("detector", f"{detector['name']}, joints of {detector['layout']}{flipped}; {boxes}"),
        ("images", images),
        ("people", f"{report['people_annotated']:,} annotated with joints, {report['people_found']:,} found"),
    ]
    if this["images"]:
        speed = f"{this['images_per_s']:.1f} images/s, {this['people_per_s']:.1f} people/s with the start"
        seconds = f"workers read {this['read_s']:.1f} s, detected {this['detect_s']:.1f} s"
        rows.append(("this run", f"{this['images']:,} images in {this['seconds']:.1f} s: {speed}; {seconds}"))
    for name, value in rows:
        console.print(f"{name:<10}{value}")
    console.print()
    for line in (coco_lines if report["annotations"]["kind"] == "coco" else mpii_lines)(report["metrics"]):
        console.print(line)
    console.print()
    for failure in report["failures"][:MAX_FAILURES]:
        console.print(f"failed    {failure['image']}: {failure['reason']}")
    if len(report["failures"]) > MAX_FAILURES:
        console.print(f"… and {len(report['failures']) - MAX_FAILURES} more, all in metrics.json")
    for note in report["notes"]:
        console.print(f"note: {note}")
    results = ", predictions.json (COCO results)" if report["annotations"]["kind"] == "coco" else ""
    console.print(f"output: {report['output']} with metrics.json{results}, predictions/")


def coco_lines(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """COCO's metrics in percent, as they are published, and the mean OKS, 0 to 1."""
    yield "".join(f"{label:>8}" for label in COCO_COLUMNS) + f"{'mean OKS':>11}"
    cells = (metrics[name] for name in COCO_COLUMNS.values())
    mean = metrics["mean_oks"]
    yield "".join(f"{cell(value, 100)}" for value in cells) + (f"{'-':>11}" if mean is None else f"{mean:>11.3f}")


def mpii_lines(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """PCKh, in percent."""
    yield f"{'PCKh@0.5':>10}{'@0.1':>8}{'@0.1 as published':>20}"
    yield f"  {cell(metrics['pckh_50'], 1)}{cell(metrics['pckh_10'], 1)}{'':>12}{cell(metrics['pckh_10_published'], 1)}"
    joints = [(name.removeprefix("pckh_50_"), v) for name, v in metrics.items() if name.startswith("pckh_50_")]
    yield "PCKh@0.5 by joint"
    console = Console(highlight=False, markup=False)
    with console.capture() as text:
        console.print(Columns([f"{name} {cell(value, 1).strip()}" for name, value in joints], padding=(0, 2)))
    yield from text.get().splitlines()


def cell(value: float | None, factor: float) -> str:
    """A cell of a table; a dash where the metric has no value."""
    return f"{'-':>8}" if value is None else f"{factor * value:>8.1f}"
