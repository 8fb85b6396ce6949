"""The page of a triangulated session: who was seen by how many views, and how well their rays meet."""

from collections.abc import Mapping
from typing import Any

from pipelines.report.document import chart, document, facts, heading, note, table


def triangulation_page(session: Mapping[str, Any]) -> str:
    """A self-contained HTML document.

    Args:
        session: What came of the session.
    """
    parts = [heading("Triangulated session", session["session"]), facts(_facts(session))]
    parts += [note(text) for text in session["notes"]]
    columns = ("person", "frames seen", "whole poses", "views", "residual")
    parts.append(table(columns, [_person(number, one) for number, one in enumerate(session["people"], start=1)]))
    parts.append(
        table(("camera", "labeled frames", "off by", "clock"), [_camera(*item) for item in session["cameras"].items()])
    )
    parts.append(
        chart(
            "residuals",
            [_curve(number, one, session["step_s"]) for number, one in enumerate(session["people"], start=1)],
            {
                "xaxis": {"title": {"text": "time, s"}},
                "yaxis": {"title": {"text": "median residual, px"}, "rangemode": "tozero"},
            },
            label="Distance of the keypoints from the projected joints over time",
        )
    )
    return document(f"Triangulated: {session['session']}", "\n".join(parts))


def _facts(session: Mapping[str, Any]) -> dict[str, object]:
    return {
        "people": len(session["people"]),
        "cameras": len(session["cameras"]),
        "labeled frames": f"{session['frames']:,}",
        "residual": (f"{session['residual_px']} px", "median distance of keypoints from projected joints"),
    }


def _person(number: int, one: Mapping[str, Any]) -> tuple[object, ...]:
    residual = "–" if one["residual_px"] is None else f"{one['residual_px']} px"
    return number, f"{100 * one['seen']:.0f} %", f"{100 * one['whole']:.0f} %", f"{one['views']:.1f}", residual


def _camera(name: str, one: Mapping[str, Any]) -> tuple[object, ...]:
    miss = "–" if one["miss_px"] is None else f"{one['miss_px']} px"
    return name, one["labeled_frames"], miss, f"{1000 * one['offset_s']:+.1f} ms"


def _curve(number: int, one: Mapping[str, Any], step_s: float) -> dict[str, Any]:
    values = one["residual_px_over_time"]
    times = [round(index * one["every"] * step_s, 3) for index in range(len(values))]
    return {"x": times, "y": values, "name": f"person {number}", "mode": "lines"}
