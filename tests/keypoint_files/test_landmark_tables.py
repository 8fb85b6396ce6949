"""Tables of MediaPipe's landmarks in the forms that people write: what they say comes out by joint and frame."""

import csv

import numpy as np
import pytest
from files_of_others import only, points

from pipelines.keypoint_files import landmark_table, landmarks
from pipelines.keypoint_files.formats import MediaPipe
from schemas.errors import UserError
from schemas.layouts import layout

JOINTS = layout("blazepose33").joints
# MediaPipe's PoseLandmark has the side of the mouth last.
NAMES = [name.upper() if "mouth" not in name else f"MOUTH_{name.split('_')[0].upper()}" for name in JOINTS]
PEOPLE = points(33, 4) / [500, 500, 1]


def write(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def wide(heading, first=(), numbers=None):
    """A row for each frame: headings of each landmark, columns before them."""
    columns = [heading(n, name).split() for n, name in enumerate(NAMES)]
    header = [*first, *(one for group in columns for one in group)]
    rows = []
    for frame, person in enumerate(PEOPLE):
        before = [(numbers or range(9))[frame]] if first else []
        values = np.column_stack([person[:, :2], np.full(33, 0.1), person[:, 2]])
        rows.append([*before, *values.ravel().tolist()])
    return [header, *rows]


def long(header, landmark, people=1):
    rows = []
    for n, person in enumerate(PEOPLE):
        for joint, (x, y, score) in enumerate(person.tolist()):
            row = {"frame": n // people, "person": n % people, "landmark": landmark(joint), "z": 0.1}
            row |= {"frame_id": n // people, "landmark_id": joint, "landmark_name": NAMES[joint]}
            row |= {"x": x, "y": y, "visibility": score}
            rows.append([row[name] for name in header])
    return [header, *rows]


FORMS = {
    "x0": wide(lambda n, _: f"x{n} y{n} z{n} v{n}"),
    "x1, class": wide(lambda n, _: f"x{n + 1} y{n + 1} z{n + 1} v{n + 1}", ["class"], ["squat"] * 4),
    "landmark_0_x": wide(
        lambda n, _: " ".join(f"landmark_{n}_{what}" for what in ("x", "y", "z", "visibility")), ["frame"]
    ),
    "nose_x": wide(
        lambda _, name: " ".join(f"{name.lower()}_{what}" for what in ("x", "y", "z", "visibility")), ["timestamp"]
    ),
    "X_NOSE": wide(lambda _, name: f"X_{name} Y_{name} Z_{name} visibility_{name}", ["time"]),
    "NOSE.x": wide(lambda _, name: f"{name}.x {name}.y {name}.z {name}.v", ["Frame"]),
    "long by number": long(["frame", "landmark", "x", "y", "z", "visibility"], lambda joint: joint),
    "long from 1": long(["frame", "landmark", "x", "y", "z", "visibility"], lambda joint: joint + 1),
    "long by name": long(["frame", "landmark", "x", "y", "z", "visibility"], lambda joint: NAMES[joint]),
    "long by both": long(["frame_id", "landmark_id", "landmark_name", "x", "y", "z", "visibility"], str),
    "long, enumeration": long(
        ["frame", "landmark", "x", "y", "visibility"], lambda joint: f"PoseLandmark.{NAMES[joint]}"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_people_write_is_read(form, tmp_path):
    video = only(landmark_table.read(write(tmp_path / "walk_landmarks.csv", FORMS[form])))
    assert (video.name, video.layout.name, video.shares) == ("walk", "blazepose33", True)
    assert list(video.frames) == [0, 1, 2, 3]
    for number, person in enumerate(PEOPLE):
        assert video.frames[number].keypoints[0] == pytest.approx(person[:, :2], rel=1e-5)
        assert video.frames[number].keypoint_scores[0] == pytest.approx(person[:, 2], rel=1e-5)
    has_frames = any("frame" in str(name).lower() for name in FORMS[form][0])
    note = "has no column frame; its rows are taken as frames 0 to 3"
    assert (video.note is None) if has_frames else str(video.note).endswith(note)


def test_several_people_and_frames_without_any(tmp_path):
    rows = long(["frame", "person", "landmark", "x", "y"], lambda joint: joint, people=2)
    rows = [rows[0], *([row[0] * 3, *row[1:]] for row in rows[1:])]
    video = only(landmark_table.read(write(tmp_path / "walk.csv", rows)))
    assert [len(video.frames[n]) for n in range(4)] == [2, 0, 0, 2]
    assert video.frames[3].keypoints[1] == pytest.approx(PEOPLE[3, :, :2], rel=1e-5)
    assert (video.frames[3].keypoint_scores == 1).all(), "without visibility, each landmark that is there counts"


def test_blank_and_zero_landmarks_are_missing(tmp_path):
    rows = FORMS["x0"]
    blank, zeros = [""] * (33 * 4), [0.0] * (33 * 4)
    partly = [*rows[1][:4], "", "", "", "", *rows[1][8:]]
    video = only(landmark_table.read(write(tmp_path / "walk.csv", [rows[0], rows[1], blank, zeros, partly])))
    assert [len(video.frames[n]) for n in range(4)] == [1, 0, 0, 1]
    assert (video.frames[3].keypoint_scores[0] == 0).tolist() == [False, True, *[False] * 31]


def test_shares_need_the_size_of_the_video_and_pixels_stay(tmp_path):
    """One landmark that MediaPipe guesses far outside makes no pixels of the others."""
    rows = [list(row) for row in FORMS["landmark_0_x"]]
    rows[1][1 + 4 * 31] = 2.4
    rows = [rows[0], *([n, *rows[1][1:]] for n in range(30))]
    file = write(tmp_path / "walk.csv", rows)
    with pytest.raises(UserError, match=r"the size of the pictures of walk is not known; give source\.videos=…"):
        list(MediaPipe(MediaPipe.Config(files=file, fps=30)).tracks())
    (track,) = MediaPipe(MediaPipe.Config(files=file, width=640, height=480, fps=30)).tracks()
    assert track.keypoints[0, 0] == pytest.approx(PEOPLE[0, 0, :2] * [640, 480], rel=1e-5)
    pixels = [rows[0], *([row[0], *np.multiply(row[1:], 500)] for row in rows[1:])]
    for row in pixels[1:]:
        row[4::4] = [0.9] * 33
    assert not only(landmark_table.read(write(tmp_path / "pixels.csv", pixels))).shares


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([["a", "b"], [1, 2]], r"has no landmarks; its columns must be x0, y0, z0, v0, …"),
        ([["x0", "y0", "x1"], [1, 2, 3]], "has no column with y of left_eye_inner"),
        ([["x0", "y0"], ["left", 2]], "column x0 must hold numbers"),
        ([[f"{axis}{n}" for n in range(1, 502) for axis in "xy"], [0.5] * 1002], "numbers its 501 landmarks 1 to 501"),
        ([[f"{axis}{n}" for n in range(17) for axis in "xy"], [0.5] * 34], "numbers its 17 landmarks 0 to 16"),
        ([[f"{axis}{n}" for n in range(1, 26) for axis in "xy"], [0.5] * 50], "numbers its 25 landmarks 1 to 25"),
        ([["frame", "x0", "y0"], [3, 0.5, 0.5], [3, 0.5, 0.5]], "has frame 3 twice; number the people of a frame"),
        ([["frame", "landmark", "x", "y"], *[[3, "NOSE", 0.5, 0.5]] * 2], "has nose of frame 3 2 times; number the"),
        ([["frame", "x0", "y0"], [3.5, 0.5, 0.5]], r"frame=3\.5: frames have whole numbers from 0 on"),
        ([["frame", "x0", "y0"], ["", 0.5, 0.5]], "frame"),
        ([["frame", "x0", "y0"], [-1, 0.5, 0.5]], "speaks of frame -1"),
        ([["frame", "x0", "y0"], [10**12, 0.5, 0.5]], "speaks of frame 1,000,000,000,000 and only of 1 frames"),
        ([["person", "x0", "y0"], [0, 0.5, 0.5]], "has a column person, and must have a column frame too"),
        ([["landmark", "x", "y"], [0, 0.5, 0.5]], "must have columns frame and landmark too"),
        ([["frame", "landmark", "x", "y"], [0, "snout", 0.5, 0.5]], "has no landmarks"),
        ([["x0", "y0", "v0"], [0.5, 0.5, 95]], "its scores are 0 to 95"),
        ([[]], "is not a table of landmarks"),
    ],
)
def test_other_tables_are_one_line(rows, line, tmp_path):
    with pytest.raises(UserError, match=rf"a\.csv: .*{line}"):
        list(MediaPipe(MediaPipe.Config(files=write(tmp_path / "a.csv", rows), width=640, height=480, fps=30)).tracks())


@pytest.mark.parametrize("form", ["json", "csv"])
def test_world_landmarks_are_refused(form, tmp_path):
    person = PEOPLE[0] - [*PEOPLE[0, 23:25, :2].mean(0), 0]
    rows = [[f"{what}{n}" for n in range(33) for what in "xyv"], person.ravel().tolist()]
    file = write(tmp_path / "a.csv", rows)
    if form == "json":
        file = str(tmp_path / "a.json")
        (tmp_path / "a.json").write_text(f"[{[[x, y, 0.1, v] for x, y, v in person.tolist()]}]")
    with pytest.raises(UserError, match=r"has world landmarks, metres around the middle of the hips"):
        only((landmark_table if form == "csv" else landmarks).read(file))


def test_more_columns_than_landmarks_have_are_one_line(tmp_path):
    file = write(tmp_path / "a.csv", [[f"x{number}" for number in range(2001)]])
    with pytest.raises(UserError, match=r"a.csv: .* has 2,001 columns, of which at most 2,000 are read"):
        only(landmark_table.read(file))
