"""Generated nonsense for every reader of files of others: an expected error or a value, in bounded memory."""

import io
import os
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tracks.track_samples import make_track, write_tracks

from pipelines.annotations.images import ImageError, decode_image
from pipelines.annotations.mpii import read_mpii
from pipelines.io import json_documents
from pipelines.io.npz import read_npz
from pipelines.io.torch_files import read_checkpoint
from pipelines.label.video_manifest import read_manifest
from pipelines.tracks.keypoint_reader import survey
from pipelines.tracks.read_one_by_one import read_one_by_one
from pipelines.video import answers
from pipelines.video.encode import VideoWriter
from pipelines.video.errors import VideoError
from pipelines.video.probe import probe
from schemas.errors import UserError
from schemas.plain_yaml import load_plain

# `make fuzz` takes many more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
# Of Python's and NumPy's memory, for inputs of a few kilobytes.
MOST_BYTES = 64_000_000


def film(folder: Path, suffix: str) -> bytes:
    with VideoWriter(folder / f"film{suffix}", 64, 48, 30) as video:
        for shade in range(4):
            video.write(np.full((48, 64, 3), shade * 60, np.uint8))
    return (folder / f"film{suffix}").read_bytes()


def saved(write: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def png(folder: Path) -> bytes:
    return cv2.imencode(".png", np.zeros((8, 12, 3), np.uint8))[1].tobytes()


def objects(folder: Path) -> bytes:
    return saved(lambda file: np.savez(file, a=np.array({"b": np.arange(3.0)}, object), c=np.eye(2)))


def mat(folder: Path) -> bytes:
    names = {"headboxes_src": (2, 2, 1), "pos_gt_src": (16, 2, 1), "jnt_missing": (16, 1)}
    return saved(lambda file: scipy.io.savemat(file, {name: np.ones(shape) for name, shape in names.items()}))


def read_mat(path: Path) -> None:
    person = {"image": "b", "center": [1, 1], "scale": 1, "joints": [[1, 1]] * 16, "joints_vis": [1] * 16}
    path.with_suffix(".json").write_text(f"[{person}]".replace("'", '"'))
    read_mpii(str(path.with_suffix(".json")), str(path))


def table(folder: Path) -> bytes:
    return saved(lambda file: pq.write_table(pa.table({"uri": ["a.mp4", "b.mp4"], "fx": [1.0, 2.0]}), file))


def tracks(folder: Path) -> bytes:
    return Path(write_tracks(folder / "tracks.parquet", [make_track(frames=8)])).read_bytes()


READERS: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], Any], tuple[type[Exception], ...]]] = {
    "film.mp4": (lambda folder: film(folder, ".mp4"), probe, (VideoError,)),
    "film.mkv": (lambda folder: film(folder, ".mkv"), probe, (VideoError,)),
    "picture.png": (png, lambda path: decode_image(path.read_bytes()), (ImageError,)),
    "poses.npz": (objects, lambda path: read_npz(str(path)), (UserError,)),
    "lifter.pt": (
        lambda folder: saved(lambda file: torch.save({"a": torch.eye(3)}, file)),
        lambda path: read_checkpoint(str(path), "lifter"),
        (UserError,),
    ),
    "of_2019.pt": (
        lambda folder: saved(lambda file: torch.save([torch.eye(3)], file, _use_new_zipfile_serialization=False)),
        lambda path: read_checkpoint(str(path), "lifter"),
        (UserError,),
    ),
    "heads.mat": (mat, read_mat, (UserError,)),
    "list.parquet": (table, lambda path: list(read_manifest(str(path))), (UserError,)),
    "list.csv": (lambda folder: b"uri,fx\na.mp4,1\n", lambda path: list(read_manifest(str(path))), (UserError,)),
    "tracks.parquet": (tracks, lambda path: list(read_one_by_one(survey(str(path)))), (UserError,)),
    "recipe.yaml": (
        lambda folder: b"a: [1, {b: c}]\n",
        lambda p: load_plain(p.read_bytes()),
        (yaml.YAMLError, ValueError),
    ),
    "report.json": (lambda folder: b'{"a": [1, null]}', lambda p: json_documents.parse(p.read_bytes()), (ValueError,)),
    "answer.json": (
        lambda folder: answers.encode(answers.failure("no")),
        lambda path: answers.decode(path.read_bytes()),
        (VideoError,),
    ),
}
# Where a file is changed, and into what; and where it is cut.
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4)


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("honest")
    return {name: make(folder) for name, (make, _, _) in READERS.items()}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, kept=st.floats(0, 1))
@example(changes=[], kept=1.0)
def test_a_changed_file_is_an_expected_error_or_a_value(name, changes, kept, honest, tmp_path):
    _, read, expected = READERS[name]
    data = bytearray(honest[name])
    for place, content in changes:
        start = int(place * len(data))
        data[start : start + len(content)] = content
    (tmp_path / name).write_bytes(data[: int(kept * len(data)) + 1])
    tracemalloc.start()
    try:
        with suppress(*expected):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
