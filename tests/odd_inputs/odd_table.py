"""The table of odd inputs: for each, accepted with these facts, or refused with this line. Add a row for a new one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odd_inputs.odd_files import (
    SWAPPED,
    arrays,
    doubled,
    edited,
    files,
    joined,
    jumping,
    manifest,
    mocap,
    pictures,
    preview_first,
    recipe,
    resized,
    truncated,
    written,
    written_film,
    written_twice,
)
from odd_inputs.odd_questions import (
    Facts,
    Question,
    Refused,
    camera_of,
    cluster,
    decoded,
    imported,
    label,
    probed,
    train,
    videos,
)


@dataclass(frozen=True)
class Row:
    """An odd input.

    Attributes:
        name: What is odd.
        make: Writes the files that it needs into a folder.
        ask: What a job makes of it, in that folder.
        right: The facts that must be among the answer, or the line with which it is refused.
    """

    name: str
    make: Callable[[Path], None]
    ask: Question
    right: Facts | Refused


def _nothing(folder: Path) -> None:
    """Rows of command lines need no files."""


def _gap(motion: np.ndarray) -> np.ndarray:
    motion[50, 3] = 0
    motion[90, 7] = np.nan
    return motion


def _holes(keypoints: np.ndarray) -> np.ndarray:
    keypoints[50, 3] = keypoints[90, 7] = 0
    return keypoints


# What is typed for a text field; it is the text.
_WORDS = (
    "001",
    "0x10",
    "1e3",
    "10:30",
    "2024-05-01",
    "true",
    "no",
    "null",
    "~",
    "run #1",
    "- x.mp4",
    "a: b",
    "{a}",
    "*",
)
_TS = b"G" + bytes(187)
_RESIZED = "20 frames of another shape, shown whole with bars beside them: 20-39"
_GAP_OF_PICTURES = "1 pictures missing between numbers 1 and 4"

TABLE = [
    *(Row(f"text {word}", _nothing, label(f"output={word}"), {"output": word}) for word in _WORDS),
    Row("list of words", _nothing, label("videos=[010, 1.10, no]"), {"videos": ("010", "1.10", "no")}),
    Row("list with a comma", _nothing, label('videos=["a, b", c]'), {"videos": ("a, b", "c")}),
    Row("glob of brackets", _nothing, label("videos=[ab]*.mp4"), {"videos": "[ab]*.mp4"}),
    Row("number with zeros", _nothing, label("decode.max_side=0640"), {"max_side": 640}),
    Row("number with exponent", _nothing, train("optimization.learning_rate=1e-4"), {"rate": 1e-4}),
    Row("boolean in words", _nothing, train("optimization.amsgrad=no"), {"amsgrad": False}),
    Row(
        "boolean for a number",
        _nothing,
        label("decode.max_side=true"),
        Refused("decode.max_side=true: input should be"),
    ),
    Row(
        "infinite number",
        _nothing,
        train("optimization.learning_rate=inf"),
        Refused("learning_rate=inf: input should be"),
    ),
    Row("misspelt field", _nothing, label("decode.maxside=3"), Refused("did you mean decode.max_side?")),
    Row(
        "recipe of words",
        recipe("output: 010\ndata: {subjects: [01, no]}"),
        train("r.yaml"),
        {"subjects": ("01", "no")},
    ),
    Row("recipe with nothing", recipe("output:\n"), label("r.yaml"), {"output": "o"}),
    Row("recipe of a list", recipe("- a\n"), label("r.yaml"), Refused("a recipe holds fields with values")),
    Row("recipe that is no YAML", recipe("a: [\n"), label("r.yaml"), Refused("r.yaml: is not YAML")),
    Row("no such recipe", _nothing, label("none.yaml"), Refused("none.yaml: the recipe cannot be read: No such file")),
    *(
        Row(f"manifest subject {word}", manifest(f"uri,subject\na.mp4,{word}\n"), videos("m.csv"), {"subjects": [word]})
        for word in ("01", "true", "1.10", "1e3", "10:30", "12345678901234567890", "Müller")
    ),
    Row("manifest camera 007", manifest("uri,camera\na.mp4,007\n"), videos("m.csv"), {"cameras": ["007"]}),
    Row("manifest with semicolons", manifest("uri;subject\na.mp4;S1\n"), videos("m.csv"), {"subjects": ["S1"]}),
    Row("manifest with tabs", manifest("uri\tsubject\na.mp4\tS1\n", "m.tsv"), videos("m.tsv"), {"subjects": ["S1"]}),
    Row("manifest of spaces", manifest("uri, subject\na.mp4, S1\n"), videos("m.csv"), {"subjects": ["S1"]}),
    Row("manifest in capitals", manifest("URI,Subject\na.mp4,S1\n"), videos("m.csv"), {"subjects": ["S1"]}),
    Row(
        "manifest in UTF-16", manifest("uri,subject\na.mp4,ü\n".encode("utf-16")), videos("m.csv"), {"subjects": ["ü"]}
    ),
    Row(
        "manifest in Latin-1",
        manifest("uri,subject\na.mp4,ü\n".encode("latin-1")),
        videos("m.csv"),
        Refused("videos=m.csv: "),
    ),
    Row("manifest of other columns", manifest("uri,weather\na.mp4,rain\n"), videos("m.csv"), {"subjects": [None]}),
    Row("manifest with a byte order mark", manifest("\ufeffuri\na.mp4\n"), videos("m.csv"), {"names": ["a.mp4"]}),
    Row("manifest in a capital file", manifest("uri\na.mp4\n", "M.CSV"), videos("M.CSV"), {"names": ["a.mp4"]}),
    Row("manifest without uri", manifest("path\na.mp4\n"), videos("m.csv"), Refused("videos=m.csv: ")),
    Row("manifest misspelt", manifest("uri,subjct\na.mp4,S1\n"), videos("m.csv"), Refused("subject")),
    Row("manifest of one value too many", manifest("uri\na.mp4,S1\n"), videos("m.csv"), Refused("row 1: has 2 values")),
    Row("fov", manifest("uri,fov\na.mp4,90\n"), camera_of(640, 480), {"fx": 320, "cx": 320, "cy": 240}),
    Row("fov of 190", manifest("uri,fov\na.mp4,190\n"), camera_of(640, 480), Refused("fov")),
    Row(
        *("calibration with its size", manifest("uri,fx,fy,cx,cy,width,height\na.mp4,2000,2000,960,540,1920,1080\n")),
        *(camera_of(960, 540), {"fx": 1000, "cx": 480, "cy": 270}),
    ),
    Row(
        *("calibration of another size", manifest("uri,fx,fy,cx,cy\na.mp4,3000,3000,1920,1080\n")),
        *(camera_of(576, 576), Refused("lies outside the picture: the picture is 576x576 px")),
    ),
    Row(
        *("normalised calibration", manifest("uri,fx,fy,cx,cy\na.mp4,1.2,1.2,0.5,0.5\n")),
        *(camera_of(576, 576), Refused("makes a field of view of")),
    ),
    Row(
        *("fisheye", manifest("uri,fx,fy,cx,cy,k1,k4,distortion\na.mp4,300,300,500,400,0.1,0.01,fisheye\n")),
        *(camera_of(1000, 800), {"fx": 300, "cx": 500}),
    ),
    Row(
        *("fisheye with tangential terms", manifest("uri,fx,fy,cx,cy,p1,distortion\na.mp4,3,3,3,3,0.1,fisheye\n")),
        *(camera_of(6, 6), Refused("distortion=fisheye has k1, k2, k3, k4, and no p1")),
    ),
    Row(
        *("fourth coefficient of another lens", manifest("uri,fx,fy,cx,cy,k4,distortion\na.mp4,3,3,3,3,0.1,opencv\n")),
        *(camera_of(6, 6), Refused("distortion=opencv has k1, k2, k3, p1, p2, and no k4")),
    ),
    Row("mocap in metres", mocap(lambda m: m), imported(), {"frames": [200], "stature": 1.6, "said": []}),
    *(
        Row(f"mocap in {unit}", mocap(lambda m, f=f: m * f), imported(), {"stature": 1.6, "said": ["source.unit"]})
        for unit, f in (("mm", 1000), ("cm", 100), ("inches", 1 / 0.0254))
    ),
    Row(
        "mocap in mm called m", mocap(lambda m: m * 1000), imported("source.unit=m"), Refused("m tall from the ankles")
    ),
    Row(
        "mocap in no unit",
        mocap(lambda m: m * 20),
        imported(),
        Refused("m tall from the ankles to the head, 0.5 to 2.6"),
    ),
    Row("mocap of milliseconds called a rate", mocap(lambda m: m), imported("source.fps=5000"), Refused("m/s in most")),
    Row("mocap in a unit of one's own", mocap(lambda m: m * 20), imported("source.unit=0.05"), {"stature": 1.6}),
    Row(
        *("mocap with y up", mocap(lambda m: np.stack([m[..., 0], m[..., 2], -m[..., 1]], -1)), imported()),
        {"stature": 1.6, "said": ["source.up"]},
    ),
    Row(
        "mocap upside down called z",
        mocap(lambda m: m * (1, -1, -1)),
        imported("source.up=z"),
        Refused("heads are above"),
    ),
    Row("mocap mirrored", mocap(lambda m: m * (-1, 1, 1)), imported(), Refused("left and right are swapped, or")),
    Row(
        "mocap with sides swapped",
        mocap(lambda m: m[:, SWAPPED]),
        imported(),
        Refused("knees of S1 bend forward in 0%"),
    ),
    Row(
        "mocap mirrored, unchecked", mocap(lambda m: m * (-1, 1, 1)), imported("source.check=false"), {"frames": [200]}
    ),
    Row("mocap of shuffled joints", mocap(lambda m: m[:, ::-1]), imported(), Refused("source: ")),
    Row("mocap with gaps", mocap(_gap), imported(), {"frames": [50, 39, 109], "stature": 1.6}),
    Row("mocap of nothing", mocap(lambda m: m * 0), imported(), Refused("source: ")),
    *(
        Row(f"keypoints {how}", arrays(change), imported(source="odd_inputs.odd_questions:OneCamera"), Refused(line))
        for how, change, line in (
            ("of half the size", lambda k: k / 2, "(another resolution)"),
            ("normalised", lambda k: k / 500 - 1, "(normalised, or cut)"),
            ("mirrored", lambda k: (1000, 0) + (-1, 1) * k, "mirroring the pictures"),
            ("with sides swapped", lambda k: k[:, SWAPPED], "swapping left and right"),
            ("of other frames", lambda k: np.roll(k, -12, axis=0), "12 frames later"),
        )
    ),
    Row(
        "keypoints as they are",
        arrays(lambda k: k),
        imported(source="odd_inputs.odd_questions:OneCamera"),
        {"frames": [200]},
    ),
    Row(
        *("keypoints of zero for missing", arrays(_holes), imported(source="odd_inputs.odd_questions:OneCamera")),
        {"frames": [50, 39, 109], "said": ["odd/S1/walk/C0"]},
    ),
    Row(
        *("keypoints of zero in every frame", arrays(lambda k: k * (np.arange(17) != 3)[:, None])),
        *(imported(source="odd_inputs.odd_questions:OneCamera"), Refused("200 of 200 frames are left out")),
    ),
    *(
        Row(f"{what} that is appended", written_twice(f"v.{what}"), probed(f"v.{what}"), {"frames": 30, "told": True})
        for what in ("mp4", "flv")
    ),
    Row("times of decoding", written_film("v.asf"), decoded("v.asf"), {"frames": 30, "damage": None}),
    Row("frames without times", written_film("v.mpg"), decoded("v.mpg"), {"frames": 30, "damage": None}),
    Row("joined recordings", joined, probed("v.ts"), {"frames": 60, "fps": 30, "noted": True}),
    Row("clock that jumps", jumping, probed("v.ts"), {"frames": 60, "fps": 30, "noted": True, "damage": None}),
    Row("frames of one time", doubled, probed("v.mkv"), {"frames": 60, "noted": True}),
    Row("size that changes", resized, decoded("v.ts"), {"frames": 40, "damage": _RESIZED}),
    Row("edited film", edited, decoded("v.mp4"), {"frames": 40, "damage": None, "cuts": [20]}),
    Row("preview before the video", preview_first, probed("v.mkv"), {"frames": 30, "noted": True}),
    Row("truncated video", truncated, probed("v.mp4"), Refused("incomplete mp4: its index (moov) is missing")),
    Row("empty video", written("v.mp4", b""), probed("v.mp4"), Refused("the file is empty (0 bytes)")),
    Row("text as a video", written("v.mp4", b"hello\n"), probed("v.mp4"), Refused("not a video")),
    Row(
        "list of files as a video",
        written("v.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        probed("v.mp4"),
        Refused("not a video"),
    ),
    Row(
        "hidden folder",
        files("v/.t/a.mp4", "v/b.mp4"),
        videos("v"),
        {"names": ["b.mp4"], "left_out": ["hidden folder"]},
    ),
    Row("link in a circle", files("v/b.mp4", "v/loop@"), videos("v"), {"names": ["b.mp4"]}),
    Row("output in the input", files("v/b.mp4", "v/out/c.mp4"), videos("v", "v/out"), {"names": ["b.mp4"]}),
    Row("capital ending", files("v/B.MP4", "v/c.MXF"), videos("v"), {"names": ["B.MP4", "c.MXF"]}),
    Row("unknown ending", written("a.dav", _TS * 3), videos("."), {"names": ["a.dav"]}),
    Row("other files", files("v/b.mp4", "v/notes.txt"), videos("v"), {"left_out": ["no video: .txt"]}),
    Row("folder of pictures", files("v/1.jpg", "v/2.jpg"), videos("v"), Refused("pictures (.jpg), not videos")),
    Row("pattern of pictures", files("v/1.jpg", "v/2.jpg"), videos("v/*.jpg"), Refused("pictures (.jpg), not videos")),
    Row("numbered pictures", files("v/1.jpg", "v/2.jpg"), videos("v", fps=30), {"names": ["%d.jpg#fps=30"]}),
    Row(
        "pattern of no pictures", files("v/1.jpg"), videos("v/%05d.jpg", fps=30), Refused("check the number of digits")
    ),
    Row("rate of a film", files("v/b.mp4"), videos("v", fps=30), Refused("fps=30: is the rate of numbered pictures")),
    Row("pictures with a gap", pictures(1, 2, 4), probed("%d.png#fps=30"), {"frames": 3, "damage": _GAP_OF_PICTURES}),
    Row("empty folder", files("v/notes.txt"), videos("v"), Refused("the folder holds no videos")),
    Row("no such folder", _nothing, videos("w"), Refused("there is no such file or folder")),
    Row("cluster of nobody", _nothing, cluster("127.0.0.1:1"), Refused("no cluster answers there")),
    Row(
        "job server as a cluster", _nothing, cluster("http://127.0.0.1:8265"), Refused("is the address of a job server")
    ),
    Row("cluster without a port", _nothing, cluster("10.0.0.1"), Refused("is no address of a cluster")),
]
