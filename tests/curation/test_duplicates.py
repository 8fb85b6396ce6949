"""Copies are found however a clip was changed; other clips are not taken for copies."""

import numpy as np
import pytest
from curation.clips import clip, crop, cut, mirror, retime, shaken

from pipelines.curation.duplicates import find_copies
from pipelines.curation.pose_rows import PoseRows, pose_rows
from pipelines.tracks.normalised import limbs
from schemas.configs.curate import DuplicatesConfig

CLIPS = [clip(seed) for seed in range(6)]
COPIES = {
    "encoded again": lambda one: one,
    "cropped": crop,
    "mirrored": mirror,
    "cut shorter": lambda one: cut(one, 40, 110),
    "retimed": lambda one: retime(one, 1.4),
}


def copies_among(tracks, **rules):
    rows = [pose_rows(limbs(track)) for track in tracks]
    order = sorted(range(len(tracks)), key=lambda number: -len(tracks[number]) / tracks[number].fps)
    return find_copies(
        PoseRows.of([poses for poses, _ in rows], [step for _, step in rows]), order, DuplicatesConfig(**rules)
    )


def test_different_clips_are_no_copies():
    assert copies_among(CLIPS) == {}
    assert copies_among([]) == {}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found_with_its_original(change):
    copy = shaken(COPIES[change](CLIPS[3]), 99)
    copies = copies_among([*CLIPS, copy])
    assert {number: of.of for number, of in copies.items()} == {6: 3}
    assert copies[6].is_mirrored == (change == "mirrored")
    assert copies[6].speed == pytest.approx(1.4 if change == "retimed" else 1.0, abs=0.05)


def test_a_longer_copy_is_kept_and_one_that_is_contained_in_part_too():
    assert list(copies_among([cut(CLIPS[0], 0, 90), shaken(CLIPS[0], 5)])) == [0]
    apart = [cut(CLIPS[0], 0, 90), shaken(cut(CLIPS[0], 60, 150), 5)]
    assert copies_among(apart) == {}
    assert list(copies_among(apart, min_overlap=0.3)) == [1]


def test_of_several_copies_one_is_kept():
    copies = copies_among([shaken(CLIPS[0], seed) for seed in range(4)])
    assert sorted(copies) == [1, 2, 3]
    assert {copy.of for copy in copies.values()} == {0}


def test_tracks_without_a_single_whole_pose_are_no_copies():
    rows = np.full((20, 24), np.nan, np.float16)
    assert find_copies(PoseRows.of([rows, rows], [0.1, 0.1]), [0, 1], DuplicatesConfig()) == {}
