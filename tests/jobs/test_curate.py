"""The curate job: a choice among tracks that stands wherever tracks are read, with a reason for each track left out."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from curation.clips import clip, cut, mirror, shaken
from tracks.track_samples import write_tracks

from jobs.command_line.main import run_job
from pipelines.tracks.keypoint_reader import read_tracks, survey

CLIPS = [clip(seed) for seed in range(4)]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Four good clips, a copy, a photograph, and a track without a frame rate."""
    monkeypatch.chdir(tmp_path)
    photograph = replace(CLIPS[0], keypoints=CLIPS[0].keypoints[:1].repeat(150, 0), track_id="photograph")
    timeless = replace(CLIPS[0], fps=np.nan, timestamps_s=np.zeros(150), track_id="timeless")
    copy = shaken(mirror(cut(CLIPS[1], 10, 140)), 99, name="copy")
    write_tracks(tmp_path / "all" / "a.parquet", [*CLIPS, photograph, timeless, copy])
    return tmp_path


def curate(*arguments):
    return run_job("curate", ["tracks=all", "output=out", *arguments])


def reasons(folder):
    (file,) = (folder / "out" / "tracks").glob("*.parquet")
    return {row["track_id"]: row["reason"] for row in pq.read_table(file).to_pylist()}


def test_good_tracks_are_kept_and_each_other_one_has_its_reason(corpus, capsys):
    assert curate() == 0
    reason_of = reasons(corpus)
    assert [name for name, reason in reason_of.items() if reason is None] == ["clip0", "clip1", "clip2", "clip3"]
    assert reason_of["photograph"].endswith("trunk sizes of motion (quality.min_motion=0.02)")
    assert reason_of["timeless"].startswith("unreadable: track timeless: its frame rate is unknown")
    assert reason_of["copy"].startswith("copy: mirrored, ")
    assert reason_of["copy"].endswith(" off, of clip1")
    report = json.loads((corpus / "out" / "report.json").read_text())
    assert (report["tracks"], report["tracks_kept"], report["frames_kept"]) == (7, 4, 600)
    assert report["rejected"]["still"] == {"tracks": 1, "frames": 150}
    assert "4 of 7 kept" in capsys.readouterr().out
    page = (corpus / "out" / "curation.html").read_text()
    assert "Curated tracks" in page
    assert page.count('<div class="strip">') == 6  # the track that could not be measured has no poses


def test_a_choice_is_read_like_the_tracks_that_it_keeps(corpus):
    assert curate() == 0
    assert survey("out/tracks") == survey("all")[:4]
    kept = list(read_tracks("out/tracks"))
    assert [track.track_id for track in kept] == ["clip0", "clip1", "clip2", "clip3"]
    assert np.array_equal(kept[2].keypoints, CLIPS[2].keypoints)


def test_a_choice_of_tracks_that_are_gone_says_so(corpus, capsys):
    assert curate() == 0
    write_tracks(corpus / "all" / "a.parquet", CLIPS[1:])
    assert run_job("lift", ["tracks=out/tracks", "output=lifted"]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert "keeps track clip0 of" in error
    assert "which is not there any more; run raylift curate again" in error


def test_the_same_command_does_nothing_and_other_rules_only_judge(corpus, capsys):
    assert curate() == 0
    (measures,) = (corpus / "out" / "measures").iterdir()
    measured_at = measures.stat().st_mtime_ns
    assert curate() == 0
    assert "nothing to do" in capsys.readouterr().out
    assert curate("quality.min_motion=null", "duplicates.find=false", "budget_frames=400") == 0
    assert measures.stat().st_mtime_ns == measured_at
    reason_of = reasons(corpus)
    assert sum(reason is None for reason in reason_of.values()) == 2
    assert "over budget: other tracks show its poses (budget_frames=400)" in reason_of.values()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tracks=nowhere"], "nowhere: no such file or folder"),
        (["budget_frames=10"], "budget_frames=10: the shortest track has more, and tracks are kept whole"),
        (["poses=lifted"], "bone lengths are judged on lifted tracks; give both or neither"),
        (["quality.max_swaps=2"], "quality.max_swaps"),
        (["run_name=two\nlines"], "a run's name is 1 to 250 characters in one line; give another"),
        ([f"run_name={'x' * 251}"], ": a run's name is 1 to 250 characters in one line; give another"),
    ],
)
def test_what_cannot_be_curated_is_one_line(corpus, capsys, arguments, message):
    assert curate(*arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_corpus_of_junk_ends_with_1_and_a_page(corpus, capsys):
    assert curate("quality.min_seconds=60") == 1
    assert "no track is worth training on by these rules" in capsys.readouterr().out.replace("\n", " ")
    assert (corpus / "out" / "curation.html").exists()


@pytest.mark.ray
def test_files_that_were_measured_are_not_measured_again(corpus):
    assert curate() == 0
    before = {file.name for file in (corpus / "out" / "measures").iterdir()}
    for name, one in (("b", clip(7)), ("c", clip(8))):
        write_tracks(corpus / "all" / f"{name}.parquet", [one])
    assert curate() == 0
    assert before < {file.name for file in (corpus / "out" / "measures").iterdir()}
    assert [track.track_id for track in read_tracks("out/tracks")][-2:] == ["clip7", "clip8"]
