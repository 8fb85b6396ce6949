"""Files that claim, name or repeat what they should not: each is one reason, and nothing else is opened."""

import os
import runpy
from pathlib import Path

import pytest

from pipelines.video.errors import VideoError
from pipelines.video.probe import probe


@pytest.fixture(scope="module")
def hostile(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good film, and the files made of it."""
    folder = tmp_path_factory.mktemp("hostile")
    made = runpy.run_path(str(shared_data / "hostile/make_hostile.py"))
    made["film"](folder / "good.mp4")
    good = (folder / "good.mp4").read_bytes()
    (folder / "aspect_huge.mp4").write_bytes(made["with_pixel_aspect"](good, 2**31 - 1, 1))
    (folder / "aspect_zero.mp4").write_bytes(made["with_pixel_aspect"](good, 1, 65535))
    (folder / "samples_30m.mp4").write_bytes(made["with_many_samples"](good, 30_000_000))
    (folder / "a::b.mp4").write_bytes(good)
    (folder / "notes.txt").write_text("nothing to see here\n" * 40)
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    for name, entry in (("playlist.m3u8", folder / "good.mp4"), ("address.m3u8", "http://127.0.0.1:9/film.mp4")):
        (folder / name).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{entry}\n#EXT-X-ENDLIST\n")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("playlist.m3u8", "not a video"),
        ("address.m3u8", "not a video"),
        ("concat.mp4", "not a video"),
        ("notes.txt", "not a video"),
        ("aspect_huge.mp4", "claims pixels of 2147483647:1; at most 8:1"),
        ("aspect_zero.mp4", "claims pixels of 1:65535; at most 8:1"),
        ("samples_30m.mp4", "claims 30,000,000 frames or more; at most 5,000,000"),
        ("pipe.mp4", "not a file: a folder, a named pipe or a device"),
        ("folder", "not a file: a folder, a named pipe or a device"),
    ],
)
def test_a_file_that_is_no_honest_video_is_one_reason(hostile: Path, name: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason) as error:
        probe(hostile / name)
    assert len(str(error.value).splitlines()) == 1


def test_a_name_that_looks_like_a_chain_of_addresses_opens_itself(hostile: Path) -> None:
    assert probe(hostile / "a::b.mp4").frame_count == 12
