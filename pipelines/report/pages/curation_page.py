"""The page of a curation: how much was kept, why the rest was not, and some tracks of each kind."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.report.document import document, escape, facts, heading, table
from schemas.layouts import layout

_LIMBS = layout("limbs12")
# At most this many poses of a track are drawn, each of this size, px.
_POSES, _SIZE_PX = 6, 84
# The drawing extends this far from the middle of the trunk, in trunk sizes.
_REACH = 1.9
_STYLE = """
.strip { margin: 0 0 14px; }
.strip svg { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; margin-right: 6px; }
.strip line { stroke-width: 0.09; stroke-linecap: round; }
.strip .left { stroke: var(--left); } .strip .right { stroke: var(--right); } .strip .centre { stroke: var(--centre); }
.strip p { margin: 2px 0 0; color: var(--muted); font-size: 13.5px; overflow-wrap: anywhere; }
"""

Sample = tuple[Mapping[str, Any], np.ndarray]
"""A track, as a row of the curated format, and its poses (poses, 12, 2)."""


def curation_page(report: Mapping[str, Any], samples: Mapping[str, Sequence[Sample]]) -> str:
    """A self-contained HTML document.

    Args:
        report: Of the job.
        samples: Some tracks of each kind, by the word that says what became of them.
    """
    kept, frames = report["tracks_kept"], report["frames_kept"]
    shown = {
        "kept": (f"{kept:,}", f"of {report['tracks']:,} tracks"),
        "frames kept": (f"{frames:,}", f"of {report['frames']:,}"),
    }
    rows = [(word, f"{count['tracks']:,}", f"{count['frames']:,}") for word, count in report["rejected"].items()]
    parts = [heading("Curated tracks", report["output"]), facts(shown)]
    if rows:
        parts.append(table(("why not", "tracks", "frames"), rows))
    for word, tracks in samples.items():
        if tracks:
            parts.append(f"<h2>{escape(word.capitalize())}</h2>")
            parts += [_strip(track, poses) for track, poses in tracks]
    return document("Curated tracks", "\n".join(parts), plotly=False, style=_STYLE)


def _strip(track: Mapping[str, Any], poses: np.ndarray) -> str:
    """A track as a row of poses, with its facts in words."""
    picked = poses[np.unique(np.linspace(0, len(poses) - 1, min(_POSES, len(poses))).astype(int))]
    remark = track["reason"] or f"{track['seconds']:.1f} s"
    text = f"{escape(remark)} · {escape(track['track_id'])} · {escape(track['video'])}"
    return f'<div class="strip">{"".join(map(_drawn, picked))}<p>{text}</p></div>'


def _drawn(pose: np.ndarray) -> str:
    lines = ""
    for child, parent, side in _LIMBS.sided_bones:
        ends = np.concatenate([pose[child], pose[parent]]).astype(float)
        if np.isfinite(ends).all():
            x1, y1, x2, y2 = ends.clip(-2 * _REACH, 2 * _REACH).round(3).tolist()
            lines += f'<line class="{side}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
    view = f"{-_REACH} {-_REACH} {2 * _REACH} {2 * _REACH}"
    return f'<svg width="{_SIZE_PX}" height="{_SIZE_PX}" viewBox="{view}" aria-hidden="true">{lines}</svg>'
