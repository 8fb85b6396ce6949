"""Documents of others with some values replaced by nonsense: one line or a value, in bounded memory."""

import copy
import json
import os
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from annotations.test_annotation_tools import UNDERSTOOD
from calibration import rigs
from datasets.invented_motion import amc, asf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines import registry
from pipelines.annotations.coco import read_coco
from pipelines.calibration.read import read_cameras
from pipelines.datasets.asf_amc import read_motion, read_skeleton
from pipelines.datasets.camera_table import read_cameras as read_camera_table
from schemas.errors import UserError

# `make fuzz` takes many more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
# Of Python's and NumPy's memory, for documents of a few kilobytes.
MOST_BYTES = 256_000_000
POINTS = [[100.0 + 7 * joint, 80.0 + 9 * joint, 0.9] for joint in range(33)]
FLAT = [value for point in POINTS[:17] for value in point]


def imported(name: str) -> Callable[[Path], Any]:
    """Reads tracks as `import_keypoints` does."""

    def read(path: Path) -> None:
        plugin = registry.load(registry.KEYPOINT_SOURCES, name)
        files = str(path.parent if name == "openpose" else path)
        source = plugin(plugin.Config(files=files, width=640, height=480, fps=30))
        list(source.tracks())

    return read


def rig() -> dict[str, Any]:
    return {
        one.name: {
            **{"K": rigs.matrix(one).tolist(), "dist": rigs.distortion(one).tolist(), "model": "opencv"},
            **{"R": one.rotation.tolist(), "t": one.translation.tolist(), "image_size": [one.width, one.height]},
        }
        for one in rigs.RIG
    }


STUDIO = {
    "cameras": {
        "C0": {"width": 1000, "height": 1000, "intrinsics": {"fx": 1100.0, "fy": 1100.0, "cx": 500, "cy": 500}}
    },
    "extrinsics": {"S1": {"C0": {"orientation": [1.0, 0.0, 0.0, 0.0], "translation_m": [0.0, 0.0, 5.0]}}},
}
DOCUMENTS: dict[str, tuple[Any, Callable[[Path], Any]]] = {
    "alphapose.json": (
        [{"image_id": f"{n}.jpg", "keypoints": FLAT, "score": 2.0} for n in range(3)],
        imported("alphapose"),
    ),
    "a_000000000001_keypoints.json": (
        {"people": [{"pose_keypoints_2d": [v for point in POINTS[:25] for v in point]}]},
        imported("openpose"),
    ),
    "mmpose.json": (
        {
            "instance_info": [
                {
                    "frame_id": n,
                    "instances": [
                        {"keypoints": [p[:2] for p in POINTS[:17]], "keypoint_scores": [0.9] * 17, "bbox_score": 0.7}
                    ],
                }
                for n in range(3)
            ]
        },
        imported("mmpose"),
    ),
    "landmarks.json": (
        [[{"x": x / 500, "y": y / 500, "z": 0.1, "visibility": s} for x, y, s in POINTS], None],
        imported("mediapipe"),
    ),
    "coco.json": (UNDERSTOOD["CVAT"], lambda path: read_coco(str(path))),
    "rig.json": (rig(), lambda path: read_cameras(str(path))),
    "studio.json": (STUDIO, lambda path: read_camera_table(str(path))),
}


def texts() -> dict[str, tuple[str, Callable[[Path], Any]]]:
    """Texts that are changed by their words and numbers."""
    header = "PathFileType\t4\t(X/Y/Z)\ta.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\n30\t30\t2\t2\tpx\n"
    trc = header + "Frame#\tTime\tNose\t\t\tLHip\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n1\t0\t1\t2\t0\t3\t4\t0\n"
    dlc = "scorer,D,D,D\nbodyparts,Nose,Nose,Nose\ncoords,x,y,likelihood\n0,1.5,2.5,0.9\n1,1.5,2.5,0.9\n"
    mediapipe = "frame,landmark,x,y,z,visibility\n" + "".join(f"{n},NOSE,0.1,0.2,0.3,0.9\n" for n in range(4))
    numbered = "frame,x0,y0,z0,v0,x1,y1,z1,v1\n" + "".join(f"{n},0.1,0.2,0.3,0.9,0.2,0.2,0.3,0.9\n" for n in range(4))
    cameras = lambda path: read_cameras(str(path))  # noqa: E731
    return {
        "a.trc": (trc, imported("trc")),
        "a.csv": (dlc, imported("deeplabcut")),
        "long.csv": (mediapipe, imported("mediapipe")),
        "wide.csv": (numbered, imported("mediapipe")),
        "Calib.toml": (rigs.toml(rigs.RIG), cameras),
        "rig.qca.txt": (rigs.qualisys(rigs.RIG), cameras),
        "rig.xcp": (rigs.vicon(rigs.RIG, 'VICON_RADIAL2="a 1 2 0.1 0.01 0"'), cameras),
        "cmu.asf": (asf(), lambda path: read_skeleton(path.read_text(), path.name)),
        "cmu.amc": (amc({}, {}), lambda path: read_motion(path.read_text(), read_skeleton(asf(), "a.asf"), path.name)),
    }


TEXTS = texts()
WORDS = [
    "",
    "x",
    "-1",
    "0",
    "1e999",
    "nan",
    "9" * 400,
    "1000000000000",
    "\n",
    "\t",
    ",",
    '"',
    "[",
    "<",
    ":root",
    "\x00",
    "é",
]
NONSENSE = [
    *(None, True, -1, 0, 10**15, 10**400, 1e308, float("nan"), float("inf"), "", "x", "7", "a" * 3000, [], {}, [[]]),
    *([None], {"a": None}, [[[1]]], [1, "x"], {"x": 1}, [1.0] * 34, [[1, 2]] * 17, "\x00", "🎥" * 9, -(10**12)),
]
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(range(len(NONSENSE)))), max_size=3)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all values within a document."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(document: Any, changes: list[tuple[float, int]]) -> Any:
    document = copy.deepcopy(document)
    for share, number in changes:
        paths = list(places(document))
        if not paths:
            break
        *parents, last = paths[int(share * len(paths))]
        container = document
        for key in parents:
            container = container[key]
        container[last] = copy.deepcopy(NONSENSE[number])
    return document


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
@example(changes=[])
def test_nonsense_in_a_document_is_one_line_or_a_value(name, changes, tmp_path):
    document, read = DOCUMENTS[name]
    file = tmp_path / name
    file.write_text(json.dumps(changed(document, changes)))
    tracemalloc.start()
    try:
        with suppress(UserError):
            read(file)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(WORDS)), max_size=3))
@example(changes=[])
def test_nonsense_in_a_text_is_one_line_or_a_value(name, changes, tmp_path):
    text, read = TEXTS[name]
    words = re.findall(r"[\w.+-]+|\s|.", text)
    for share, word in changes:
        words[int(share * len(words))] = word
    (tmp_path / name).write_text("".join(words))
    tracemalloc.start()
    try:
        with suppress(UserError):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_document_is_honest_before_it_is_changed(name, tmp_path):
    document, read = DOCUMENTS[name]
    (tmp_path / name).write_text(json.dumps(document))
    with suppress(UserError):  # of a person who is there for too short a time
        read(tmp_path / name)
