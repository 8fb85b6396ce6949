"""What `videos=` may be, and what is said when it cannot be used."""

import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from label.odd_names import ODD_NAMES
from pyarrow import csv

from pipelines.label.video_files import LeftOut
from pipelines.label.video_sources import find_videos
from schemas.errors import UserError


@pytest.fixture
def clips(tmp_path):
    for name in ("b.mp4", "a.MKV", "sub/c.webm", "notes.txt", ".half.mp4"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).write_bytes(b"x")
    return tmp_path / "clips"


def names(sources):
    return [source.uri.rsplit("/", 1)[1] for source in sources]


def test_a_file_a_folder_a_glob_and_a_list(clips):
    assert names(find_videos(str(clips / "b.mp4"))) == ["b.mp4"]
    assert names(find_videos(str(clips))) == ["a.MKV", "b.mp4", "c.webm"]
    assert names(find_videos(f"{clips}/*.mp4")) == ["b.mp4"]
    assert names(find_videos([str(clips / "b.mp4"), f"file://{clips}/b.mp4", f"{clips}/sub"])) == [
        "b.mp4",
        "c.webm",
    ]


def test_any_spelling_of_a_local_path_is_the_same_video(clips, monkeypatch):
    monkeypatch.chdir(clips)
    assert find_videos("b.mp4") == find_videos(f"file://{clips}/b.mp4") == find_videos("./sub/../b.mp4")


def test_a_remote_address_keeps_its_protocol():
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/x.mp4", b"x")
    assert [s.uri for s in find_videos("memory://bucket")] == ["memory:///bucket/x.mp4"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("missing", "there is no such file or folder"),
        ("empty", "the folder holds no videos"),
        ("*.mov", "nothing matches"),
        ("missing.csv", "the manifest cannot be read"),
        ("nowhere://x", "addresses of this kind cannot be opened"),
        ("", "is empty; give a file"),
    ],
)
def test_inputs_that_are_not_there(tmp_path, monkeypatch, entry, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        find_videos(entry)


@pytest.fixture
def odd(tmp_path):
    (tmp_path / "odd").mkdir()
    for name in ODD_NAMES:
        (tmp_path / "odd" / name).write_bytes(b"x")
    return tmp_path / "odd"


def test_files_of_any_name_are_found_however_they_are_named(odd):
    uris = sorted(f"{odd}/{name}" for name in ODD_NAMES)
    assert [source.uri for source in find_videos(str(odd))] == uris
    assert [source.uri for source in find_videos(f"{odd}/*.mp4")] == uris
    assert [source.uri for source in find_videos(uris)] == uris, "a name that looks like a pattern is a name"
    assert [source.uri for source in find_videos([Path(uri).as_uri() for uri in uris])] == uris


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_names_files_of_any_name(odd, suffix):
    manifest, table = odd / f"m{suffix}", pa.table({"uri": list(ODD_NAMES)})
    csv.write_csv(table, manifest) if suffix == ".csv" else pq.write_table(table, manifest)
    assert [source.uri for source in find_videos(str(manifest))] == sorted(f"{odd}/{name}" for name in ODD_NAMES)


def test_a_name_that_is_no_text_is_one_clear_line(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")).write_bytes(b"x")
    with pytest.raises(UserError, match=r"\\udcff.mp4': the name is no text \(UTF-8\); rename the file"):
        find_videos(str(tmp_path))
    pq.write_table(pa.table({"uri": ["a\0b.mp4"]}), tmp_path / "m.parquet")
    with pytest.raises(UserError, match="the name is no text"):
        find_videos(str(tmp_path / "m.parquet"))


HEADS = {
    "disc.bin": b"\0\0\x01\xba" + bytes(600),
    "stream": (b"\x47" + bytes(187)) * 4,
    "camera.xyz": b"\0\0\0\x18ftypisom" + bytes(600),
    "page.xyz": b"<html>" + bytes(600),
    "sound.xyz": b"\0\0\0\x18ftypM4A " + bytes(600),
    "photo.jpg": b"\xff\xd8" + bytes(600),
}


def test_what_a_folder_holds_is_taken_or_accounted_for(tmp_path):
    folder = tmp_path / "v"
    for name in (
        "good.mp4",
        "clip.MXF",
        ".thumbnails/hidden.mp4",
        ".half.mp4",
        "out/film.mp4",
        "sub/near.mp4",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    for name, head in HEADS.items():
        (folder / name).write_bytes(head)
    (tmp_path / "nas").mkdir()
    (tmp_path / "nas" / "far.mp4").write_bytes(b"x")
    (folder / "linked").symlink_to(tmp_path / "nas")
    (folder / "loop").symlink_to(folder)
    left_out = LeftOut()
    videos = find_videos(str(folder), str(folder / "out"), left_out)
    assert names(videos) == ["camera.xyz", "clip.MXF", "disc.bin", "good.mp4", "far.mp4", "stream", "near.mp4"]
    by_reason = {
        entry["reason"]: [path.rsplit("/", 1)[1] for path in entry["examples"]] for entry in left_out.document()
    }
    assert by_reason == {
        "no video: .xyz": ["page.xyz", "sound.xyz"],
        "no video: .txt": ["notes.txt"],
        "no video: .jpg": ["photo.jpg"],
        "hidden folder": [".thumbnails"],
        "hidden file": [".half.mp4"],
        "the output of this job": ["out"],
        "linked folder that is taken elsewhere": ["loop"],
    }
    assert names(find_videos(f"{folder}/*/*.mp4", str(folder / "out"))) == ["near.mp4"]


def test_what_a_store_holds_is_taken_or_accounted_for():
    memory = fsspec.filesystem("memory")
    for name in ("a.mp4", ".trash/b.mp4", "out/c.mp4", "d.txt"):
        memory.pipe(f"/shelf/{name}", b"x")
    left_out = LeftOut()
    assert names(find_videos("memory://shelf", "memory://shelf/out", left_out)) == ["a.mp4"]
    assert {entry["reason"] for entry in left_out.document()} == {
        *("hidden folder", "the output of this job", "no video: .txt"),
    }


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Folders of pictures; one holds the pictures of two cameras."""
    for name in ("imgs/0000.jpg", "imgs/0001.jpg", "imgs/0003.jpg", "imgs/cover.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8")
    for name in ("a9.png", "a10.png", "b1.png", "b2.png"):
        (tmp_path / "imgs" / "two").mkdir(exist_ok=True)
        (tmp_path / "imgs" / "two" / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "imgs"


@pytest.mark.parametrize("entry", ["imgs", "imgs/*.jpg", "imgs/%04d.jpg"])
def test_pictures_are_one_line_that_says_how_they_become_a_video(pictures, entry):
    with pytest.raises(UserError, match=r"pictures \(.jpg\), not videos; .* is given: .*fps=30"):
        find_videos(entry)


def test_numbered_pictures_are_one_video_at_a_stated_rate(pictures):
    assert [v.uri for v in find_videos("imgs/%04d.jpg", fps=30)] == [f"{pictures}/%04d.jpg#fps=30"]
    left_out = LeftOut()
    videos = find_videos("imgs", left_out=left_out, fps=29.97)
    assert [v.uri.removeprefix(f"{pictures}/") for v in videos] == [
        *("%04d.jpg#fps=29.97", "two/a%d.png#fps=29.97", "two/b%d.png#fps=29.97"),
    ]
    assert left_out.paths == {"no video: .jpg": [f"{pictures}/cover.jpg"]}
    assert names(find_videos("imgs/two/b*.png", fps=10)) == ["b%d.png#fps=10"]


def test_pictures_of_a_manifest_get_the_rate(pictures):
    (pictures.parent / "m.csv").write_text("uri,subject\nimgs/%04d.jpg,S1\n")
    [video] = find_videos("m.csv", fps=30)
    assert (video.uri, video.subject) == (f"{pictures}/%04d.jpg#fps=30", "S1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("imgs/%05d.jpg", "no picture has a name of this pattern; check the number of digits"),
        ("clips", "fps=30: is the rate of numbered pictures .* names none; leave it out"),
        ("memory://frames", "numbered pictures of a folder are one video"),
        ("imgs/cover*.jpg", r"names pictures \(.jpg\), not videos"),
    ],
)
def test_a_rate_without_its_pictures_is_refused(pictures, clips, entry, message):
    fsspec.filesystem("memory").pipe("/frames/1.jpg", b"x")
    with pytest.raises(UserError, match=message):
        find_videos(entry, fps=30)


def test_a_pipe_whose_name_says_nothing_is_left_out_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "clip")
    (tmp_path / "a.mp4").write_bytes(b"")
    assert [video.uri for video in find_videos(str(tmp_path))] == [str(tmp_path / "a.mp4")]
