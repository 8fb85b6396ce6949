"""What a training and an evaluation come to, as PNG files that MLflow's page shows without a download."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.epoch_values import values_by_name
from pipelines.report.png import bars, curves


def training_figures(
    history: Sequence[Mapping[str, Any]], held_out: Mapping[str, str], label: str, best_epoch: int
) -> dict[str, bytes]:
    """PNG files by name: the terms of the loss, and what was measured on the people held out.

    Args:
        history: `EpochReport.metrics()` of every epoch, including those before an interruption.
        held_out: Names of metrics and what people call them.
        label: What these metrics are, with their unit.
        best_epoch: The epoch that is marked, if people were held out.
    """
    losses, measures = values_by_name(history, "loss"), values_by_name(history, "validation")
    shown = {name: measures[metric] for metric, name in held_out.items() if metric in measures}
    epochs, best = [epoch["epoch"] for epoch in history], best_epoch if shown else None
    # The axis is logarithmic, so what is not above 0 is no point of it.
    positive = {name: [v if v is not None and v > 0 else None for v in line] for name, line in losses.items()}
    files = {"losses.png": curves(epochs, positive, "Loss", "loss", best=best, log=True)}
    if shown:
        files["held_out.png"] = curves(epochs, shown, "People held out", label, best=best)
    return files


def evaluation_figures(joints_mm: Mapping[str, float], actions_mm: Mapping[str, float]) -> dict[str, bytes]:
    """PNG files by name: the error of each joint and of each action, mm; none without labels."""
    rows = {"joints": joints_mm, "actions": actions_mm}
    return {
        f"{name}.png": bars(errors.items(), f"Error by {name.removesuffix('s')}", "MPJPE, mm")
        for name, errors in rows.items()
        if errors
    }
