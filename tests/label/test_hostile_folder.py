"""A folder of hostile files is labeled to its end: a row each, a report, bounded memory; once more changes nothing."""

import html
import json
import os
import runpy
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from label.odd_names import ODD_NAMES

from jobs.command_line.arguments import read_config
from pipelines.io import storage
from pipelines.label import run
from pipelines.label.report import PeakMemory
from pipelines.report.pages.label_page import label_page
from schemas.configs.label import LabelConfig

pytestmark = pytest.mark.ray

FIELDS = ["detector=bright_spot:BrightSpot", "link.min_track_s=0.2"]
# More than the processes of this test run had before: what honest films take too.
MOST_MB = 2000


def claims_gigabytes(path: Path, side: int = 60_000) -> None:
    """A PNG whose header says that it has 3.6 billion pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def own(folder: Path, film: bytes) -> set[str]:
    """A small folder of what the project's other tests do one by one; returns the names of those that are no videos."""
    (folder / "honest.mp4").write_bytes(film)
    for name in ODD_NAMES[::2]:
        (folder / name).write_bytes(film)
    bad = {
        "text.mp4": b"nothing to see here\n" * 40,
        "empty.mp4": b"",
        "cut.mp4": film[: len(film) // 3],
        "neighbours.mp4": b"ffconcat version 1.0\nfile honest.mp4\n",
        "playlist.mp4": f"#EXTM3U\n#EXTINF:1,\n{folder}/honest.mp4\n#EXT-X-ENDLIST\n".encode(),
        "page.mkv": b"<script>alert(1)</script>",
        "frames.mp4": film.replace(b"stts" + bytes(4), b"stts" + b"\xff" * 4),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    claims_gigabytes(folder / "pixels.avi")
    os.mkfifo(folder / "pipe.mp4")
    os.symlink("/dev/zero", folder / "device.mp4")
    return {*bad, "pixels.avi", "pipe.mp4", "device.mp4"} - {"frames.mp4"}


def given(folder: Path, film: bytes) -> set[str]:
    """The folder that the threat model was written from."""
    made = Path(__file__).parents[3] / "shared" / "data" / "hostile" / "make_hostile.py"
    if not made.exists():
        pytest.skip("../shared/data is not here")
    runpy.run_path(str(made))["main"](folder)
    return {"aspect_huge.mp4", "aspect_zero.mp4", "samples_30m.mp4", "concat.mp4"}


def label(videos: Path, output: Path) -> dict[str, Any]:
    job = run.prepare(read_config(LabelConfig, [f"videos={videos}", f"output={output}", *FIELDS]))
    return run.execute(job, run.survey(job), lambda _: None)


def kept(output: Path) -> dict[str, tuple[bytes, int]]:
    """What is finished, and since when."""
    files = [*output.glob("tracks/*"), *output.glob("detections/part-*")]
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def failed(output: Path) -> list[dict[str, Any]]:
    """The rows of what failed, without how long it took."""
    tables = [storage.read_table(str(file)) for file in output.glob("detections/errors-*")]
    rows = pa.concat_tables(tables).to_pylist()
    return sorted(({k: v for k, v in r.items() if not k.endswith("_s")} for r in rows), key=lambda r: r["video"])


@pytest.mark.parametrize("make", [own, given])
def test_a_hostile_folder_is_labeled_to_its_end_and_once_more_without_change(
    make: Callable[[Path, bytes], set[str]], tmp_path, make_video, embedded_ray
):
    film = make_video(tmp_path / "film.mp4", frames=20).read_bytes()
    videos, output = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    bad = make(videos, film)
    before = sorted(videos.rglob("*"))
    with PeakMemory() as at_rest:
        while not at_rest.peak_mb:
            time.sleep(0.1)
    report = label(videos, output)
    reasons = {failure["video"].rsplit("/", 1)[1]: failure["reason"] for failure in report["failures"]}
    assert set(reasons) == bad
    assert all(len(reason.splitlines()) == 1 for reason in reasons.values())
    assert report["videos"] == report["videos_failed"] + sum(report["decoders"].values())
    assert [row["video"].rsplit("/", 1)[1] for row in failed(output)] == sorted(bad)
    assert report["run"]["peak_memory_mb"] - at_rest.peak_mb < MOST_MB
    assert json.loads((output / "report.json").read_text()) == report
    page = label_page(report, str(output))
    assert all(html.escape(name) in page for name in bad)
    assert "<img src=x" not in page
    assert sorted(videos.rglob("*")) == before, "nothing was written beside the videos, and nothing imported"
    finished, rows = kept(output), failed(output)
    assert finished
    again = label(videos, output)
    assert again["run"]["frames"] == 0
    assert kept(output) == finished
    assert failed(output) == rows
    assert {**again, "run": None} == {**report, "run": None}
