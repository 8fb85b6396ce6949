"""The page of a training: loss terms, errors on held-out people, learning rate and throughput by epoch."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from pipelines.report.document import facts, heading, note, table
from pipelines.report.epoch_values import values_by_name
from pipelines.report.pages.figures import figure, figures_page, line_chart, side_by_side
from schemas.frame_window import frames_read

# The metrics in mm that share the chart of held-out errors, and their names.
_ERRORS = {"mpjpe_mm": "MPJPE", "p_mpjpe_mm": "P-MPJPE", "n_mpjpe_mm": "N-MPJPE"}
# The names of all metrics in the table.
_NAMES = {
    **{metric: f"{name}, mm" for metric, name in _ERRORS.items()},
    "mpjve_mm": "MPJVE, mm per frame",
    "pck_150mm": "PCK within 150 mm, %",
    "auc_150mm": "AUC within 150 mm, %",
    "bone_length_deviation": "bone lengths vary by, share",
    "bone_length_error_mm": "bone lengths are off by, mm",
    "trajectory_mm": "trajectory, mm",
    "reprojection_px": "reprojection, px",
}


def training_page(report: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """A self-contained HTML document.

    Args:
        report: The content of the training's `report.json`.
        history: `EpochReport.metrics()` of every epoch, including those before an interruption.
    """
    epochs = [epoch["epoch"] for epoch in history]
    best = (report["best_epoch"], f"best: epoch {report['best_epoch']}")
    validated = [epoch for epoch in history if epoch["validation"]]
    mark = best if validated else None
    losses = line_chart(
        "losses",
        epochs,
        values_by_name(history, "loss"),
        label="Loss terms by epoch",
        axes=("epoch", "loss"),
        log=True,
        mark=mark,
    )
    parts = [
        heading("Training", report["output"]),
        facts(_facts(report, history)),
        *_notes(report, validated),
        side_by_side(
            figure("Loss", losses, "Weighted terms and their sum, mean over an epoch."), *_held_out(history, mark)
        ),
        side_by_side(_learning_rate(history), _speed(history)),
        *_metrics(report, validated),
    ]
    return figures_page("Training", parts)


def _facts(report: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    tracks = (f"{count:,} {name}" for name, count in report["tracks"].items() if name in _SETS and count)
    best_mm = report["best_validation_mpjpe_mm"]
    # Reports of version 0.1.0 lack this entry.
    warmup = report.get("warmup_epochs", 0)
    speed = np.median([epoch["frames_per_s"] for epoch in history])
    return {
        "Epochs": f"{report['epochs']:,}",
        "Best": f"epoch {report['best_epoch']}"
        + ("" if best_mm is None else f", {best_mm:.1f} mm held out")
        + (f", of the epochs after the warm-up of {warmup}" if warmup else ""),
        "Tracks": ", ".join(tracks),
        "Lifter": f"{frames_read(report)} frames at {report['fps']:g} frames/s",
        "Speed": f"{speed:,.0f} frames/s, median",
        "Time in epochs": str(timedelta(seconds=round(sum(epoch["epoch_s"] for epoch in history)))),
    }


_SETS = ("training", "validation", "unlabeled")


def _notes(report: Mapping[str, Any], validated: Sequence[Mapping[str, Any]]) -> list[str]:
    texts = []
    if not validated:
        texts.append(
            "Nobody was held out: the last epoch counts as the best (data.validation_subjects holds people out)."
        )
    if short := report["tracks"]["shorter_than_receptive_field"]:
        texts.append(
            f"{short:,} tracks are shorter than what the lifter reads: their first and last frames are repeated."
        )
    return [note(text) for text in texts]


def _held_out(history: Sequence[Mapping[str, Any]], mark: tuple[float, str] | None) -> list[str]:
    curves = values_by_name(history, "validation")
    errors = {name: curves[metric] for metric, name in _ERRORS.items() if metric in curves}
    if not errors:
        return []
    epochs = [epoch["epoch"] for epoch in history]
    label = "Errors on held-out people by epoch"
    chart = line_chart("held-out", epochs, errors, label=label, axes=("epoch", "mm"), mark=mark)
    return [figure("Held out", chart, "Mean joint error on people that are not trained on.")]


def _learning_rate(history: Sequence[Mapping[str, Any]]) -> str:
    epochs, rates = [e["epoch"] for e in history], {"learning rate": [e["learning_rate"] for e in history]}
    axes = ("epoch", "learning rate")
    return figure(
        "Learning rate",
        line_chart("rate", epochs, rates, label="Learning rate by epoch", axes=axes, log=True, height_px=240),
    )


def _speed(history: Sequence[Mapping[str, Any]]) -> str:
    epochs, speeds = [e["epoch"] for e in history], {"frames/s": [e["frames_per_s"] for e in history]}
    share = np.mean([epoch["computing_share"] for epoch in history])
    return figure(
        "Throughput",
        line_chart(
            "speed", epochs, speeds, label="Frames per second by epoch", axes=("epoch", "frames/s"), height_px=240
        ),
        f"{share:.0%} of the time is forward, backward and step; the rest waits for data.",
    )


def _metrics(report: Mapping[str, Any], validated: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of all metrics at the best and at the last validated epoch."""
    if not validated:
        return []
    best = next((epoch for epoch in validated if epoch["epoch"] == report["best_epoch"]), validated[-1])["validation"]
    last = validated[-1]["validation"]
    names = [name for name in dict.fromkeys([*_NAMES, *last]) if name in best and name in last]
    rows = [(_NAMES.get(name, name), f"{best[name]:.4g}", f"{last[name]:.4g}") for name in names]
    columns = ("held out", f"epoch {report['best_epoch']}, the best", f"epoch {validated[-1]['epoch']}, the last")
    return [side_by_side(figure("All measures", table(columns, rows)))]
