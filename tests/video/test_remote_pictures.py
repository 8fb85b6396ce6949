"""Numbered pictures in a store are one video, as in a folder: listed there, copied once, versioned by all of them."""

from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.label.plan import PlanClips
from pipelines.label.video_files import LeftOut
from pipelines.label.video_sources import find_videos
from pipelines.video import fetch
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from pipelines.video.isolated import READER, IsolatedReader
from pipelines.video.numbered import NumberedPictures
from pipelines.video.picture_files import PictureFiles, archive_bytes, write_archive
from schemas.configs.label import DecodeConfig
from schemas.errors import UserError

ENOUGH = 10**9


def png(colour: int, size_wh: tuple[int, int] = (40, 20)) -> bytes:
    done, content = cv2.imencode(".png", np.full((size_wh[1], size_wh[0], 3), colour, np.uint8))
    assert done
    return content.tobytes()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(folder: str, *numbers: int, name: str = "{:05d}.png") -> str:
    for number in numbers:
        storage.write_bytes(storage.join(folder, name.format(number)), png(10 * number))
    return folder


@pytest.fixture
def folder(store, request):
    """Eight pictures in a folder of a bucket, beside other files."""
    where = f"{store.protocol}://{BUCKET}/{request.node.name.replace('[', '-').rstrip(']')}"
    storage.write_bytes(f"{where}/notes.txt", b"x")
    return put(where, *range(8))


def read(uri: str):
    path = fetch_video(uri, ENOUGH)
    with IsolatedReader(60.0) as reader:
        return reader.probe(path), reader.read(path, 2, 5, None)


def test_pictures_of_a_bucket_are_read_as_those_of_a_folder(folder):
    [source] = find_videos(f"{folder}/%05d.png", fps=25)
    assert source.uri == f"{folder}/%05d.png#fps=25"
    info, frames = read(source.uri)
    assert (info.frame_count, info.fps, info.width, info.damage) == (8, 25, 40, None)
    np.testing.assert_allclose(info.timestamps_s, np.arange(8) / 25)
    assert frames.images[:, 5, 5, 0].tolist() == [20, 30, 40]


def test_a_folder_a_glob_and_a_pattern_name_the_same_video(folder):
    by_pattern, by_glob, by_folder = (
        find_videos(entry, fps=25) for entry in (f"{folder}/%05d.png", f"{folder}/*.png", folder)
    )
    assert by_pattern == by_glob == by_folder
    left_out = LeftOut()
    find_videos(folder, left_out=left_out, fps=25)
    assert [(entry["reason"], entry["files"]) for entry in left_out.document()] == [("no video: .txt", 1)]


def test_the_version_is_that_of_all_pictures(folder):
    [before] = find_videos(folder, fps=25)
    assert before.version is not None
    assert find_videos(folder, fps=25) == [before]
    storage.write_bytes(f"{folder}/00003.png", png(200))
    [changed] = find_videos(folder, fps=25)
    put(folder, 8)
    [longer] = find_videos(folder, fps=25)
    assert len({before.version, changed.version, longer.version}) == 3


def test_they_are_copied_once_and_again_when_one_has_changed(folder, monkeypatch):
    uri = f"{folder}/%05d.png#fps=25"
    first = fetch_video(uri, ENOUGH)
    monkeypatch.setattr("pipelines.io.stores.copies._CHECKED_EVERY_S", 0)
    assert fetch_video(uri, ENOUGH) == first
    storage.write_bytes(f"{folder}/00003.png", png(200))
    _, frames = read(uri)
    assert frames.images[:, 5, 5, 0].tolist() == [20, 200, 40]
    assert not Path(first).parent.exists(), "the copy of before has left the cache"


def test_a_missing_and_a_damaged_picture_are_told(folder):
    storage.remove(f"{folder}/00006.png")
    storage.write_bytes(f"{folder}/00003.png", b"no picture")
    info, frames = read(f"{folder}/%05d.png#fps=25")
    assert info.damage == "1 pictures missing between numbers 0 and 7"
    assert frames.damage == "1 of 3 frames damaged: 3"


def test_pictures_that_are_not_there_are_one_line(folder):
    with pytest.raises(UserError, match=r"no picture has a name of this pattern; check the number of digits"):
        find_videos(f"{folder}/%06d.png", fps=25)
    with pytest.raises(UserError, match=r"no picture has a name of this pattern"):
        find_videos(f"{folder}/nowhere/%05d.png", fps=25)
    with pytest.raises(UserError, match=r"names pictures \(.png\), not videos; numbered pictures of a folder are one"):
        find_videos(f"{folder}/*.png")
    with pytest.raises(VideoError, match=r"^not found$"):
        fetch_video(f"{folder}/%06d.png#fps=25", ENOUGH)
    assert [fetch.exists(f"{folder}/%0{digits}d.png#fps=25") for digits in (5, 6)] == [True, False]


def test_more_than_the_cache_holds_is_refused_before_it_is_fetched(folder):
    with pytest.raises(VideoError, match=r"bytes, the cache holds 5,000; give a larger cache \(decode.cache_gb\)"):
        fetch_video(f"{folder}/%05d.png#fps=25", 5000)


def test_label_plans_them(folder):
    import pyarrow as pa

    [source] = find_videos(folder, fps=25)
    columns = {"source": [source.model_dump_json()], "done": pa.array([None], pa.list_(pa.int32()))}
    [row] = [row for table in PlanClips(DecodeConfig(), READER)(pa.table(columns)) for row in table.to_pylist()]
    assert (row["video"], row["error"], row["version"]) == (f"{folder}/%05d.png#fps=25", None, source.version)
    assert len(row["timestamps_s"]) == 8


def test_a_manifest_names_them(folder, tmp_path):
    (tmp_path / "m.csv").write_text(f"uri,subject\n{folder}/%05d.png,01\n")
    [source] = find_videos(str(tmp_path / "m.csv"), fps=25)
    assert (source.uri, source.subject) == (f"{folder}/%05d.png#fps=25", "01")


def test_those_of_a_web_server_are_one_line():
    with pytest.raises(VideoError, match="web servers do not list their files"):
        fetch_video("http://127.0.0.1:9/%05d.png#fps=25", ENOUGH)


def test_the_version_of_a_film_in_a_store_is_known_however_it_is_named():
    memory = fsspec.filesystem("memory")
    memory.pipe("/versions/a.mp4", b"x")
    named = [find_videos(f"memory://versions{entry}") for entry in ("", "/a.mp4", "/*.mp4")]
    assert [source.uri for [source] in named] == ["memory:///versions/a.mp4"] * 3


def test_a_film_of_a_bucket_that_was_replaced_is_another_version(store):
    uri = f"{store.protocol}://{BUCKET}/replaced/a.mp4"
    versions = []
    for content in (b"one", b"two"):
        storage.write_bytes(uri, content)
        versions += [find_videos(entry)[0].version for entry in (uri, uri.replace("a.mp4", "*.mp4"))]
    assert versions[0] == versions[1] != versions[2] == versions[3]
    assert None not in versions


@pytest.mark.parametrize("sizes", [[], [1], [511, 512, 513], [70_000] * 30])
def test_an_archive_has_the_size_that_was_foretold(tmp_path, sizes):
    write_archive(tmp_path / "a", ((number, bytes(size)) for number, size in enumerate(sizes)))
    assert (tmp_path / "a").stat().st_size == archive_bytes(sizes)
    pictures = NumberedPictures.of_address(f"{tmp_path}/a/%d.png#fps=5")
    assert pictures is not None
    files = PictureFiles(pictures)
    assert [len(files.read(place)) for place in range(len(files.numbers))] == sizes
    files.close()


def test_a_file_that_is_no_archive_has_no_pictures(tmp_path):
    (tmp_path / "a").write_bytes(b"no archive" * 100)
    pictures = NumberedPictures.of_address(f"{tmp_path}/a/%d.png#fps=5")
    assert pictures is not None
    assert PictureFiles(pictures).numbers == []
