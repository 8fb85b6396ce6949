"""docs/formats.md has the columns of the formats, and its snippets run on an output."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from tracks.track_samples import make_track, write_tracks

from schemas.formats.alignment import ALIGNMENT
from schemas.formats.curation import CURATED
from schemas.formats.detections import DETECTIONS
from schemas.formats.embeddings import EMBEDDINGS
from schemas.formats.poses import POSES
from schemas.formats.tracks import TRACKS

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    ("section", "schema"),
    [
        ("Tracks", TRACKS),
        ("Poses", POSES),
        ("Detections", DETECTIONS),
        ("Curated tracks", CURATED),
        ("Alignments", ALIGNMENT),
        ("Embeddings", EMBEDDINGS),
    ],
    ids=lambda value: str(value)[:10],
)
def test_the_page_has_every_column_once(section, schema):
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(schema.names)
    assert (schema.metadata or {}).get(b"raylift.format", b"").decode() in text


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["pyarrow", "pandas", "polars"])
def test_the_snippets_read_tracks(snippet, tmp_path, monkeypatch):
    for library in re.findall(r"^import (pandas|polars)", snippet, re.MULTILINE):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path / "out" / "tracks" / "a.parquet", [make_track("a", 12), make_track("b", 20)])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(snippet, {})
    assert len(printed.getvalue().splitlines()) >= 2
