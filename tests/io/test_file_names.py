"""Whatever others call their files, ours stay in their folder, and are not taken for options, devices or each other."""

import os

import pytest

from pipelines.io.file_names import MOST_BYTES, file_name, same_file
from pipelines.lift.exports import export_name, export_uri, stem

HOSTILE = [
    *(
        "../../etc/x",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/../../b",
        "..\\..\\x",
        "C:\\x",
        "%2e%2e%2fx",
        "\0",
        "a\nb\r\x1b[2J",
    ),
    *("-rf", "--help", ".hidden", "CON", "nul.mp4", "com1", "a" * 5000, "ü" * 500, "🕺" * 200, "a b#?*[x]'\"&<>|:;$`"),
    *("<script>alert(1)</script>", "\u202egpj.exe", "\ud800", "~root", "a\tb"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_is_one_plain_part_of_a_path(text, tmp_path):
    name = file_name(text)
    assert os.path.basename(name) == name
    assert name not in ("", ".", "..")
    assert name[0] not in ".-"
    assert name.isprintable()
    assert len(name.encode()) <= MOST_BYTES + 1
    assert not set(name) & set("/\\:*?\"<>|%~$`'&; ")
    (tmp_path / f"{name}.bin").write_bytes(b"x")
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.bin"]


@pytest.mark.parametrize("text", HOSTILE)
def test_exports_stay_in_their_folder(text, tmp_path):
    uri = export_uri(str(tmp_path), "npz", export_name(f"s3://bucket/{text}.mp4", 0, text))
    assert os.path.dirname(os.path.normpath(uri)) == str(tmp_path / "npz")


def test_plain_names_of_any_script_stay_as_they_are():
    assert [file_name(text) for text in ("walk_01", "Gehen-süd.2", "歩く", "a..b")] == [
        *("walk_01", "Gehen-süd.2", "歩く", "a..b")
    ]
    assert stem("s3://bucket/folder/walk.1.mp4") == "walk.1"
    assert file_name("e\u0301") == file_name("\xe9"), "macOS writes é in two letters"


def test_tracks_of_one_video_do_not_share_a_file():
    ids = ["S1-walking-1", "S1-walking-2", "s1-walking-1", "S1", "s1", "0" * 32, "1" + "0" * 31]
    names = {same_file(export_name("v.mp4", 0, track_id)) for track_id in ids}
    assert len(names) == len(ids)
