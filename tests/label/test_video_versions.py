"""A file that was replaced is another video; one that was only touched or copied back is the same."""

import os
import shutil
from pathlib import Path

import fsspec
import pytest
from label.detection_samples import SETTINGS, clip, sources, write_shard

from pipelines.label.ledger import Ledger, read_ledger, retire_videos
from pipelines.label.link_shards import plan_link_shards
from pipelines.label.video_versions import ask_remote, changed_videos, gone_videos, local_version
from pipelines.video.remote_versions import version_now
from schemas.formats.videos import VideoSource


@pytest.fixture
def output(tmp_path):
    """An output that holds two videos, in shards that share rows."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode() * 50_000)
    versions = {name: local_version(tmp_path / name) for name in ("a.mp4", "b.mp4")}
    for index in range(2):
        rows = [clip(str(tmp_path / name), index, 2, version=version) for name, version in versions.items()]
        write_shard(tmp_path / "out", rows)
    return tmp_path / "out"


def ledger_of(output) -> Ledger:
    return read_ledger(str(output), SETTINGS)


def inputs(output) -> list[VideoSource]:
    return sources(str(output.parent / "a.mp4"), str(output.parent / "b.mp4"))


def test_only_a_file_with_other_content_has_changed(output):
    first = output.parent / "a.mp4"
    assert changed_videos(inputs(output), ledger_of(output)) == []
    os.utime(first, (1, 1))
    shutil.copy(first, output.parent / "copy")
    (output.parent / "copy").replace(first)
    assert changed_videos(inputs(output), ledger_of(output)) == [], "only touched, or copied back"
    first.write_bytes(b"x.mp4" * 50_000)
    assert changed_videos(inputs(output), ledger_of(output)) == [str(first)], "of the same size"
    first.write_bytes(b"x")
    assert changed_videos(inputs(output), ledger_of(output)) == [str(first)]


def test_numbered_pictures_have_changed_if_one_of_them_has(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.bmp").write_bytes(bytes([number]) * 100)
    address = f"{tmp_path}/%d.bmp#fps=30"
    write_shard(tmp_path / "out", [clip(address, 0, 1, version=local_version(Path(address)))])
    ledger = read_ledger(str(tmp_path / "out"), SETTINGS)
    os.utime(tmp_path / "1.bmp", (1, 1))
    assert changed_videos(sources(address), ledger) == []
    assert gone_videos([], ledger) == []
    (tmp_path / "2.bmp").rename(tmp_path / "3.bmp")
    os.utime(tmp_path / "3.bmp")
    assert changed_videos(sources(address), ledger) == [address]
    for file in tmp_path.glob("*.bmp"):
        file.unlink()
    assert gone_videos([], ledger) == [address]


def test_an_object_has_changed_if_its_store_says_so(tmp_path):
    write_shard(tmp_path, [clip("memory://b/x.mp4", 0, 1, version="5-tag")])
    ledger = ledger_of(tmp_path)
    for version, changed in (("5-tag", []), ("5-other", ["memory://b/x.mp4"]), (None, [])):
        source = VideoSource(uri="memory://b/x.mp4", version=version)
        remote = {} if version is None else ask_remote([source], ledger, ())
        assert changed_videos([source], ledger, remote) == changed


def test_a_remote_film_that_a_manifest_names_is_asked_for(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/asked/{name}.mp4": b"x" for name in ("same", "other")})
    [same, other] = (version_now(f"memory:///asked/{name}.mp4", ()) for name in ("same", "other"))
    rows = [clip(f"memory:///asked/{name}.mp4", 0, 1, version=v) for name, v in (("same", same), ("other", other))]
    write_shard(tmp_path, [*rows, clip("memory:///asked/removed.mp4", 0, 1, version="5-tag")])
    memory.pipe("/asked/other.mp4", b"replaced")
    named, ledger = sources(*(row["video"] for row in rows)), ledger_of(tmp_path)
    remote = ask_remote(named, ledger, ())
    assert changed_videos(named, ledger, remote) == ["memory:///asked/other.mp4"]
    assert gone_videos(named, ledger, remote) == ["memory:///asked/removed.mp4"]


def test_labels_of_earlier_versions_count_as_those_of_the_present_files(output, tmp_path):
    write_shard(tmp_path / "old", [clip(str(tmp_path / "a.mp4"), 0, 1)])
    assert changed_videos(inputs(output), ledger_of(tmp_path / "old")) == []


def test_retired_videos_leave_and_others_stay(output):
    first, second = (source.uri for source in inputs(output))
    before = ledger_of(output)
    tracks = {shard.uri for shard in plan_link_shards("t", before, inputs(output), {})}
    retire_videos(before, str(output), [first])
    after = ledger_of(output)
    assert after.videos["video"].to_pylist() == [second]
    assert after.videos["done"].to_pylist() == [[0, 1]]
    assert {shard.uri for shard in plan_link_shards("t", after, inputs(output), {})}.isdisjoint(tracks)


def test_tracks_of_a_changed_video_are_linked_again(tmp_path):
    names = []
    for version in ("1-1-a", "1-2-b"):
        write_shard(tmp_path / version, [clip("a.mp4", 0, 1, version=version)])
        names.append(plan_link_shards("t", ledger_of(tmp_path / version), sources("a.mp4"), {})[0].uri)
    assert names[0] != names[1]


def test_videos_that_are_no_longer_there_are_gone(output):
    assert gone_videos([], ledger_of(output)) == []
    (output.parent / "a.mp4").rename(output.parent / "renamed.mp4")
    assert gone_videos(inputs(output)[1:], ledger_of(output)) == [str(output.parent / "a.mp4")]
    assert gone_videos(inputs(output), ledger_of(output)) == [str(output.parent / "a.mp4")], (
        "also one that a manifest names"
    )
    write_shard(output.parent / "part", [clip(str(output.parent / "a.mp4"), 0, 2)])
    assert gone_videos(inputs(output), ledger_of(output.parent / "part")) == [], "the job says that it cannot be read"


def test_a_pipe_among_numbered_pictures_is_not_waited_for(tmp_path):
    for number in (1, 2, 4):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "3.png")
    with pytest.raises(OSError, match="is a named pipe or a device"):
        local_version(tmp_path / "%d.png#fps=30")
