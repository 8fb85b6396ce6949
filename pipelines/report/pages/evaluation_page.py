"""The page of an evaluation: the protocol's table, and the error by joint, action and track."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.report.document import facts, heading, note, table
from pipelines.report.pages.figures import figure, figures_page, histogram, row_chart, side_by_side
from schemas.frame_window import frames_read

# The columns of the table by action: (title, metric, format).
_COLUMNS = (
    ("MPJPE, mm", "mpjpe_mm", ".1f"),
    ("P-MPJPE, mm", "p_mpjpe_mm", ".1f"),
    ("N-MPJPE, mm", "n_mpjpe_mm", ".1f"),
    ("MPJVE, mm per frame", "mpjve_mm", ".2f"),
    ("PCK 150 mm, %", "pck_150mm", ".1f"),
    ("AUC 150 mm, %", "auc_150mm", ".1f"),
)
_OTHERS = (
    ("bone lengths vary by, share", "bone_length_deviation", ".3f"),
    ("bone lengths are off by, mm", "bone_length_error_mm", ".1f"),
    ("trajectory, mm", "trajectory_mm", ".1f"),
    ("reprojection, px", "reprojection_px", ".1f"),
)
_MOST_ACTIONS = 60
_WORST_TRACKS = 12
_BINS = 30


def evaluation_page(report: Mapping[str, Any]) -> str:
    """A self-contained HTML document.

    Args:
        report: The content of the evaluation's `metrics.json`.
    """
    labeled = [track for track in report["tracks"] if track["labeled"]]
    parts = [heading("Evaluation", report["model"]), facts(_facts(report)), *(note(text) for text in report["notes"])]
    if report["average"]:
        parts += [
            figure("By action", _table(report)),
            "<h2>Where the error is</h2>",
            side_by_side(_joints(report["average"], labeled), _actions(report["tables"])),
            side_by_side(_spread(labeled), _worst(labeled)),
        ]
    parts.append(side_by_side(figure("Bones, trajectory, reprojection", _others(report))))
    return figures_page("Evaluation", parts)


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    card, data, average = report["card"], report["data"], report["average"]
    scores = {}
    if average:
        named = (("MPJPE", "mpjpe_mm"), ("P-MPJPE", "p_mpjpe_mm"))
        scores = {
            name: f"{average['metrics'][metric]:.1f} mm" for name, metric in named if metric in average["metrics"]
        }
    return {
        **scores,
        "Lifter": f"{card['lifter']}, {frames_read(card)} frames at {card['fps']:g} frames/s",
        "Layouts": f"{card['input_layout']} to {card['output_layout']}",
        "Mirror image": "averaged in" if report["flip"] else "not used",
        "Tracks": f"{data['labeled_tracks']:,} labeled, {data['unlabeled_tracks']:,} unlabeled",
        "Frames": f"{data['frames']:,}",
        "Data": data["uri"] if isinstance(data["uri"], str) else ", ".join(data["uri"]),
    }


def _table(report: Mapping[str, Any]) -> str:
    rows = [_row(label, mean) for label, mean in _action_rows(report["tables"])]
    left = len(rows) - _MOST_ACTIONS
    more = [(f"… and {left:,} more, all in metrics.json", *[""] * (1 + len(_COLUMNS)))] if left > 0 else []
    summary = [_row(f"{t['subject']}, average", t["average"]) for t in report["tables"] if len(report["tables"]) > 1]
    summary += [_row("Average of actions", report["average"]), _row("All frames", report["overall"])]
    return table(("action", "frames", *(title for title, _, _ in _COLUMNS)), rows[:_MOST_ACTIONS] + more + summary)


def _row(label: str, mean: Mapping[str, Any]) -> tuple[str, ...]:
    values = ((mean["metrics"].get(metric), form) for _, metric, form in _COLUMNS)
    return label, f"{mean['frames']:,}", *("–" if value is None else format(value, form) for value, form in values)


def _action_rows(tables: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (action if one["subject"] is None else f"{one['subject']} {action}", mean)
        for one in tables
        for action, mean in one["actions"].items()
    ]


def _joints(average: Mapping[str, Any], labeled: Sequence[Mapping[str, Any]]) -> str:
    """Each joint's error, with its standard deviation over tracks."""
    deviations = np.std([track["score"]["per_joint_mm"] for track in labeled], axis=0).tolist()
    rows = [(name.replace("_", " "), value) for name, value in average["per_joint_mm"].items()]
    label, axis = "Mean error of each joint", "MPJPE, mm"
    chart = row_chart("joints", rows, label=label, axis=axis, hover="%{x:.1f} mm", errors=deviations)
    return figure("By joint", chart, "Lines are standard deviations between tracks.")


def _actions(tables: Sequence[Mapping[str, Any]]) -> str:
    rows = [(label, mean["metrics"]["mpjpe_mm"]) for label, mean in _action_rows(tables)]
    rows = sorted(rows, key=lambda row: -row[1])[:_MOST_ACTIONS]
    label = "Mean error of each action, the largest first"
    return figure("By action", row_chart("actions", rows, label=label, axis="MPJPE, mm", hover="%{x:.1f} mm"))


def _spread(labeled: Sequence[Mapping[str, Any]]) -> str:
    errors = np.array([_error(track) for track in labeled])
    counts, edges = np.histogram(errors, _BINS, (0, float(errors.max()) * 1.001 or 1.0))
    label = "Tracks by their mean error"
    chart = histogram(
        "tracks", counts.tolist(), edges.tolist(), label=label, axes=("MPJPE of a track, mm", "tracks"), unit=" mm"
    )
    median, high = np.percentile(errors, (50, 95))
    return figure("By track", chart, f"Half of the tracks are below {median:.1f} mm, 95 % below {high:.1f} mm.")


def _worst(labeled: Sequence[Mapping[str, Any]]) -> str:
    worst = sorted(labeled, key=lambda track: (-_error(track), track["track_id"]))[:_WORST_TRACKS]
    rows = [
        (
            t["score"]["subject"],
            t["score"]["action"],
            t["camera"] or "–",
            f"{t['score']['frames']:,}",
            f"{_error(t):.1f}",
        )
        for t in worst
    ]
    return figure("The worst tracks", table(("subject", "action", "camera", "frames", "MPJPE, mm"), rows))


def _error(track: Mapping[str, Any]) -> float:
    return track["score"]["metrics"]["mpjpe_mm"]


def _others(report: Mapping[str, Any]) -> str:
    sets = [(name, report[key]) for name, key in (("labeled", "average"), ("unlabeled", "unlabeled")) if report[key]]
    rows = []
    for title, metric, form in _OTHERS:
        values = [mean["metrics"].get(metric) for _, mean in sets]
        if any(value is not None for value in values):
            rows.append((title, *("–" if value is None else format(value, form) for value in values)))
    return table(("measure", *(name for name, _ in sets)), rows)
