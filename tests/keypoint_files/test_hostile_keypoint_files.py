"""Keypoint files of strangers: what would fill the memory, or be taken for something else, is one line."""

import json
import time

import numpy as np
import pytest
from files_of_others import deeplabcut_csv, only, points, trc_text, write

from pipelines.keypoint_files import arrays, deeplabcut, instance_lists, landmark_table, landmarks, openpose, trc
from schemas.errors import UserError
from schemas.layouts import layout

_WIDE = ",".join(f"{what}{n}" for n in range(33) for what in "xyzv")
_COCO = np.array(layout("coco17").joints)


def _refused(read, reason):
    began = time.monotonic()
    with pytest.raises(UserError, match=reason) as refused:
        list(read())
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 10


def test_rows_that_are_shorter_than_their_header_are_one_line(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(_WIDE + "\n" + "1\n" * 100_000)
    _refused(lambda: landmark_table.read(str(file)), "a.csv: .* rows with fewer cells than its header, which has 132")
    text, _ = deeplabcut_csv([""])
    file.write_text("\n".join(text.split("\n")[:3]) + "\n" + "1\n" * 100_000)
    _refused(lambda: deeplabcut.read(str(file), {}), "a.csv: .* rows with fewer cells than its header, which has 19")
    text, _ = trc_text("px")
    file = tmp_path / "a.trc"
    file.write_text("\n".join(text.split("\n")[:5]) + "\n" + "1\n" * 100_000)
    _refused(lambda: trc.read(str(file), {}), "a.trc: .* a frame has 1 values, must have 17")


def test_a_last_row_that_was_cut_off_is_read(tmp_path):
    row = ",".join(map(str, np.linspace(0.1, 0.9, 132)))
    (tmp_path / "a.csv").write_text(f"{_WIDE}\n{row}\n{row}\n\n{row[:400]}")
    assert len(only(landmark_table.read(str(tmp_path / "a.csv"))).frames) == 3


def test_a_million_columns_are_refused_before_they_are_read(tmp_path):
    file = tmp_path / "a.csv"
    header = "".join(f"{first}{f',{cell}' * 10**6}\n" for first, cell in (("scorer", "s"), ("bodyparts", "b")))
    file.write_text(f"{header}coords{',x' * 10**6}\n")
    _refused(lambda: deeplabcut.read(str(file), {}), "has 1,000,001 columns, of which at most 10,000 are read")
    _refused(lambda: landmark_table.read(str(file)), "has 1,000,001 columns, of which at most 2,000 are read")


@pytest.mark.parametrize("read", [instance_lists.read, landmarks.read])
def test_more_frames_than_a_day_has_are_one_line(read, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.keypoint_files.found_videos._MOST_FRAMES", 1000)
    file = write(tmp_path / "a.json", [[]] * 1001)
    _refused(lambda: read(file), "a.json: has 1,001 frames, and at most 1,000 are read; give it in parts")


@pytest.mark.parametrize("kind", ["complex64", "datetime64[s]", "U8", "?", [("a", "f4")]])
@pytest.mark.parametrize("name", ["keypoints", "scores"])
def test_arrays_of_other_things_than_numbers_are_one_line(name, kind, tmp_path):
    given = {"keypoints": points(17, 3)[..., :2], "scores": np.ones((3, 17)), "joints": _COCO}
    given[name] = np.ones(given[name].shape).astype(kind) if kind != "U8" else given[name].astype(kind)
    np.savez(tmp_path / "a.npz", **given)
    _refused(lambda: arrays.read(str(tmp_path / "a.npz"), {}), f"a.npz: {name} hold .*; write them as numbers")


def test_a_frame_between_two_frames_is_one_line(tmp_path):
    text, _ = trc_text("px")
    (tmp_path / "a.trc").write_text(text.replace("\n1\t", "\n0.5\t"))
    _refused(lambda: trc.read(str(tmp_path / "a.trc"), {}), r"Frame#=0.5: frames have whole numbers from 0 on")
    text, _ = deeplabcut_csv([""])
    (tmp_path / "a.csv").write_text(text.replace("\n1,", "\n0.5,"))
    _refused(lambda: deeplabcut.read(str(tmp_path / "a.csv"), {}), r"column=0.5: frames have whole numbers from 0 on")


@pytest.mark.parametrize("rate", ["1e300", "inf", "100001"])
def test_a_rate_of_no_camera_is_one_line(rate, tmp_path):
    text, _ = trc_text("px")
    (tmp_path / "a.trc").write_text(text.replace("\n30\t", f"\n{rate}\t"))
    _refused(lambda: trc.read(str(tmp_path / "a.trc"), {}), "DataRate=.* and at most 100,000; correct the header")


def test_two_files_of_one_frame_are_one_line(tmp_path):
    person = {"people": [{"pose_keypoints_2d": points(25)[0].ravel().tolist()}]}
    for name in ("v_000001_keypoints.json", "v_0000001_keypoints.json"):
        (tmp_path / name).write_text(json.dumps(person))
    _refused(lambda: openpose.read(str(tmp_path)), "v_000001_keypoints.json: has the frame of .*; keep one of them")
