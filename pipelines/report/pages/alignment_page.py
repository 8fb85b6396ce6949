"""The page of a recording that is in step with a reference: both play together, with path, events and deviations."""

from collections.abc import Mapping
from typing import Any

from pipelines.report.document import asset, chart, document, escape, facts, heading, json_script, note, table
from schemas.layouts import layout

_LIMBS = layout("limbs12")
_STYLE = """
.players { display: flex; flex-wrap: wrap; gap: 16px; margin: 0 0 8px; }
.players figure { margin: 0; }
.players svg { width: 320px; height: 320px; background: var(--panel); border: 1px solid var(--line); }
.players line { stroke-width: 0.06; stroke-linecap: round; stroke: var(--centre); }
.players .left { stroke: var(--left); }
.players .right { stroke: var(--right); }
.players figcaption { color: var(--muted); font-size: 13.5px; overflow-wrap: anywhere; max-width: 320px; }
#time { width: min(100%, 560px); }
"""


def alignment_page(
    reference: Mapping[str, Any],
    recording: Mapping[str, Any],
    events: Mapping[str, int],
    entry: Mapping[str, Any],
    unit: str,
) -> str:
    """A self-contained HTML document.

    Args:
        reference: Name, poses (frames, 12, 2) and times of the reference performance.
        recording: The same of the recording; its frames are those that are in step.
        events: Frames of the events, by their names.
        entry: What is reported of the recording.
        unit: Of the deviations.
    """
    data = {"bones": _LIMBS.sided_bones, "reference": dict(reference), "recording": dict(recording)}
    shown = {
        "repetitions": len(entry["repetitions"]),
        "distance": (f"{entry['distance']:.2f}", "trunk sizes, of the best one"),
    }
    parts = [heading("In step", entry["track_id"]), facts(shown)]
    parts += [note("Left and right are exchanged: the recording shows a mirror image.")] if entry["mirrored"] else []
    parts.append(
        f'<div class="players">{_player("reference", reference)}{_player("recording", recording)}</div>'
        f'<p><button id="play">Play</button> <input id="time" type="range" min="0" max="{len(reference["times"]) - 1}" '
        'value="0" aria-label="Frame"> <span id="clock"></span></p>'
    )
    parts += [_events(entry), _path(reference, recording, events), _deviations(entry, unit)]
    parts.append(json_script("step", data))
    return document("In step", "\n".join(parts), style=_STYLE, script=asset("pages/alignment.js"))


def _player(name: str, person: Mapping[str, Any]) -> str:
    caption = f"<figcaption>{escape(name)}: {escape(person['name'])}</figcaption>"
    return f'<figure><svg id="{name}" viewBox="-2.6 -2.6 5.2 5.2"></svg>{caption}</figure>'


def _events(entry: Mapping[str, Any]) -> str:
    names = list(entry["repetitions"][0]["events"])
    rows = [
        (
            number,
            *(f"{one[key]:.2f} s" for key in ("start_s", "stop_s")),
            f"{one['distance']:.2f}",
            *(f"{event['time_s']:.2f} s ({100 * event['confidence']:.0f} %)" for event in one["events"].values()),
        )
        for number, one in enumerate(entry["repetitions"], start=1)
    ]
    return table(("repetition", "from", "to", "distance", *names), rows)


def _path(reference: Mapping[str, Any], recording: Mapping[str, Any], events: Mapping[str, int]) -> str:
    times = reference["times"]
    marks = [
        {"type": "line", "x0": times[at], "x1": times[at], "y0": 0, "y1": 1, "yref": "paper", "line": {"dash": "dot"}}
        for at in events.values()
    ]
    named = [
        {"x": times[at], "y": 1, "yref": "paper", "yanchor": "bottom", "text": escape(name), "showarrow": False}
        for name, at in events.items()
    ]
    axes = {"xaxis": {"title": {"text": "reference, s"}}, "yaxis": {"title": {"text": "recording, s"}}}
    path = {"x": list(times), "y": recording["times"], "mode": "lines", "name": "path"}
    return chart("path", [path], axes | {"shapes": marks, "annotations": named}, label="Which times are in step")


def _deviations(entry: Mapping[str, Any], unit: str) -> str:
    parts = list(entry["deviations"])
    joints = [joint.replace("_", " ") for joint in _LIMBS.joints]
    values = [[entry["deviations"][part][joint] for part in parts] for joint in _LIMBS.joints]
    heat = {"type": "heatmap", "x": [escape(part) for part in parts], "y": joints, "z": values, "colorscale": "Viridis"}
    heat |= {
        "colorbar": {"title": {"text": unit}},
        "hovertemplate": f"%{{y}}, %{{x}}: %{{z:.2f}} {unit}<extra></extra>",
    }
    layout_ = {"yaxis": {"autorange": "reversed"}, "xaxis": {"type": "category"}}
    return chart("deviations", [heat], layout_, label="Deviation of each joint in each phase", height_px=420)
