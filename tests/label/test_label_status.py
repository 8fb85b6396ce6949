"""How far an output says its job is."""

import json
import os

import pytest
from label.detection_samples import clip, person, sources, write_shard

from pipelines.io import storage
from pipelines.label.job import Job
from pipelines.label.ledger import read_ledger
from pipelines.label.status import MANIFEST, REPORT, status, write_manifest, written_at
from schemas.configs.label import LabelConfig

BEGAN_S = 1_000_000.0


@pytest.fixture
def output(tmp_path):
    """An output whose job of four videos began at `BEGAN_S`."""
    note(tmp_path, "a", "b", "c", "d")
    return tmp_path


def note(folder, *uris, at_s=BEGAN_S):
    job = Job(LabelConfig(videos="videos", output=str(folder)), sources(*uris), str(folder), {})
    write_manifest(job, read_ledger(job.detections, None))
    os.utime(folder / MANIFEST, (at_s, at_s))


def write(output, at_s, *rows):
    """Write rows as one batch, at a time."""
    before = set(storage.list_folder(f"{output}/detections"))
    write_shard(output / "detections", rows)
    for file in set(storage.list_folder(f"{output}/detections")) - before:
        os.utime(file, (at_s, at_s))


def report(output, at_s):
    (output / REPORT).write_text(json.dumps({"format": "raylift.report/1"}))
    os.utime(output / REPORT, (at_s, at_s))


def at(output, seconds):
    """The status so many seconds after the beginning."""
    return status(str(output), BEGAN_S + seconds)


def test_the_status_of_a_job_that_has_written_no_shard(output):
    result = at(output, 20)
    assert (result["state"], result["stage"], result["silent_s"]) == ("working", "label", 20)
    assert result["videos"] == {"planned": 4, "finished": 0, "failed": 0, "in_progress": 0, "settled": 0.0}
    assert (result["frames_per_s"], result["eta_s"], result["failures"]) == (None, None, [])


def test_videos_are_counted_by_how_far_they_are(output):
    someone = [[person(10)], [], [person(10), person(300)], []]
    write(output, BEGAN_S + 10, clip("a", 0, 2, people=someone), clip("a", 1, 2), clip("b", 0, 2))
    write(output, BEGAN_S + 20, clip("c", 0, 2), clip("c", 1, 2, error="cracked"))
    result = at(output, 25)
    assert result["videos"] == {"planned": 4, "finished": 1, "failed": 1, "in_progress": 1, "settled": 2.5}
    assert (result["clips"], result["frames"], result["people_in_frames"]) == (4, 16, 3)
    assert result["tracks"] == {"linked": False, "files": 0, "tracks": 0}


def test_rate_and_remaining_time_come_from_the_times_of_shards(output):
    """A video in ten seconds, once the processes stood."""
    for number, uri in enumerate("abc"):
        write(output, BEGAN_S + 100 + 10 * number, clip(uri, 0, 2), clip(uri, 1, 2))
    result = at(output, 121)
    assert result["frames_per_s"] == pytest.approx(0.8)
    assert result["eta_s"] == pytest.approx(10)


def test_the_speed_is_that_of_the_last_hour(output):
    for at_s in range(0, 4):
        write(output, BEGAN_S + at_s, clip("a", at_s, 100))
    for number, at_s in enumerate((8000, 8100, 8200), start=10):
        write(output, BEGAN_S + at_s, clip("a", number, 100))
    assert at(output, 8201)["frames_per_s"] == pytest.approx(0.04)


def test_shards_of_an_earlier_run_do_not_count_towards_the_speed(output):
    write(output, BEGAN_S - 5, clip("a", 0, 2))
    write(output, BEGAN_S - 4, clip("a", 1, 2))
    assert at(output, 10)["frames_per_s"] is None
    assert at(output, 10)["videos"]["finished"] == 1


def test_what_earlier_commands_labeled_counts_as_planned(output):
    write(output, BEGAN_S, clip("a", 0, 1), clip("b", 0, 1))
    note(output, "b", "e")
    assert at(output, 1)["videos"]["planned"] == 3


@pytest.mark.parametrize(("seconds", "state"), [(1800, "working"), (1801 + 2 * 900, "stopped")])
def test_a_job_looks_stopped_after_three_times_its_longest_pause(output, seconds, state):
    write(output, BEGAN_S + 300, clip("a", 0, 9))
    write(output, BEGAN_S + 900, clip("a", 1, 9))
    result = at(output, 900 + seconds)
    assert result["state"] == state
    assert result["silent_s"] == seconds


def test_all_labeled_but_not_linked(output):
    write(output, BEGAN_S + 1, *(clip(uri, 0, 1) for uri in "abc"), clip("d", 0, 1, error="not a video"))
    assert (at(output, 2)["state"], at(output, 2)["stage"]) == ("working", "link")
    report(output, BEGAN_S + 3)
    result = at(output, 9999)
    assert (result["state"], result["stage"], result["tracks"]["linked"]) == ("finished", None, True)
    assert result["eta_s"] is None
    # Run again, with more videos.
    note(output, "a", "b", "c", "d", "e", at_s=BEGAN_S + 10)
    assert (at(output, 12)["state"], at(output, 12)["videos"]["planned"]) == ("working", 5)


def test_reasons_come_most_frequent_first_with_examples(output):
    rows = [clip(uri, 0, 1, error="moov atom not found") for uri in "abcd"]
    write(output, BEGAN_S, clip("e", 0, 2, error="0 bytes"), *rows, clip("e", 1, 2, error="0 bytes"))
    assert at(output, 1)["failures"] == [
        {"reason": "moov atom not found", "videos": 4, "examples": ["a", "b", "c"]},
        {"reason": "0 bytes", "videos": 1, "examples": ["e"]},
    ]


def test_times_are_known_of_any_storage():
    storage.write_bytes("memory://times/x", b"")
    assert written_at("memory://times")["x"] > BEGAN_S
    assert written_at("memory://nothing-here") == {}
