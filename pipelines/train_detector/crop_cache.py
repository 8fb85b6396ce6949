"""The crop cache: people are cut out of their images once, so that no epoch opens an image or video again.

A canvas is a square around a person, at the scale of the network's input, with room for every rotation and scale of the
augmentation. An epoch then decodes one small JPEG per person. One Arrow file holds the canvases of one part.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8

from pipelines.annotations.people.source import LabeledImage, LabeledPeople, Part, Unreadable
from pipelines.detectors.topdown.crops import crop_boxes, crop_matrices, move, warp
from pipelines.io import storage
from pipelines.train_detector.canvas_shape import CanvasShape
from pipelines.video.isolated import IsolatedReader
from schemas import FORMAT_KEY
from schemas.errors import UserError
from schemas.layouts import layout

FORMAT = "raylift.canvases/1"
_SUMMARY_KEY = b"summary"

# This JPEG quality is above that of most photographs, so that the network does not learn from compression artefacts.
_QUALITY = 95
# The size of the cache for local copies of remote files, bytes: no limit, because each epoch would download them again.
_CACHE_BYTES = 2**60


@dataclass(frozen=True)
class CutSummary:
    """Summary of a file of canvases.

    Attributes:
        people: Number of people.
        unreadable: Images that could not be read when the file was made.
    """

    people: int
    unreadable: tuple[Unreadable, ...]


def cut_part(part: Part, shape: CanvasShape, reader: IsolatedReader) -> pa.Buffer:
    """Cut out the people of a part; returns the content of its file."""
    # Starting OpenCV's threads would take longer than the work on one canvas.
    cv2.setNumThreads(1)
    people: list[LabeledPeople] = []
    jpegs: list[bytes] = []
    names: list[str] = []
    unreadable: list[Unreadable] = []
    for image in part.read(reader):
        if isinstance(image, Unreadable):
            unreadable.append(image)
            continue
        cut, canvases = _cut(image, shape)
        people.append(cut)
        jpegs += canvases
        names += [image.name] * len(cut)
    return _encode(people, jpegs, names, unreadable, shape)


def _cut(image: LabeledImage, shape: CanvasShape) -> tuple[LabeledPeople, list[bytes]]:
    """The people of an image, in pixels of their canvases, and the canvases as JPEG."""
    people, canvas_wh = image.people, (shape.side, shape.side)
    crops = crop_boxes(torch.from_numpy(people.boxes), shape.input_wh)
    sides = crops.sizes[:, :1] * (shape.side / shape.input_wh[0])
    matrices = crop_matrices(crops.centres, sides.expand(-1, 2), None, canvas_wh)
    images = warp(torch.from_numpy(image.pixels)[None], torch.zeros(len(people)).long(), matrices, canvas_wh)
    scales = matrices[:, 0, 0].numpy()
    cut = replace(
        people,
        keypoints=move(torch.from_numpy(people.keypoints), matrices).numpy(),
        areas=people.areas * scales**2,
        head_sizes_px=people.head_sizes_px * scales,
    )
    return cut, [_jpeg(canvas) for canvas in images]


def _jpeg(canvas: UInt8[np.ndarray, "side side 3"]) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()


def _encode(
    people: Sequence[LabeledPeople],
    jpegs: list[bytes],
    names: list[str],
    unreadable: Sequence[Unreadable],
    shape: CanvasShape,
) -> pa.Buffer:
    joints = len(layout(shape.layout))
    columns = {
        "jpeg": pa.array(jpegs, pa.binary()),
        "name": pa.array(names, pa.string()),
        "keypoints": _rows([one.keypoints for one in people], np.float32, 2 * joints),
        "labeled": _rows([one.labeled for one in people], np.uint8, joints),
        "area": _rows([one.areas for one in people], np.float32, 1),
        "head_size": _rows([one.head_sizes_px for one in people], np.float32, 1),
    }
    summary = {"people": len(jpegs), "unreadable": [[one.name, one.reason] for one in unreadable]}
    metadata = {FORMAT_KEY: FORMAT.encode(), _SUMMARY_KEY: json.dumps(summary).encode()}
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _rows(arrays: Sequence[np.ndarray], dtype: type, length: int) -> pa.FixedSizeListArray:
    values = np.concatenate([np.zeros(0, dtype), *(array.ravel().astype(dtype) for array in arrays)])
    return pa.FixedSizeListArray.from_arrays(pa.array(values), length)


def read_summary(uri: str) -> CutSummary | None:
    """Read the summary of a file of canvases; None if there is no such file of this format."""
    if not storage.exists(uri):
        return None
    fs, path = storage.filesystem(uri)
    with fs.open(path, "rb") as file, pa.ipc.open_file(file) as reader:
        metadata = reader.schema.metadata or {}
    if metadata.get(FORMAT_KEY, b"none").decode() != FORMAT:
        return None
    summary = json.loads(metadata[_SUMMARY_KEY])
    return CutSummary(summary["people"], tuple(Unreadable(*pair) for pair in summary["unreadable"]))


class CanvasSet:
    """The people of many files; the canvases stay on disk, mapped into memory.

    Attributes:
        keypoints: Joints, canvas pixels.
        labeled: Whether each joint is annotated.
        areas: Area of each person, canvas pixels².
        head_sizes: Head sizes, by which PCKh divides, canvas pixels; NaN where they are not known.

    Args:
        uris: The files.
        shape: The shape with which they were cut.
    """

    def __init__(self, uris: Sequence[str], shape: CanvasShape) -> None:
        self.shape = shape
        self._tables = [_open(uri) for uri in uris]
        self._starts = np.cumsum([0, *(table.num_rows for table in self._tables)])
        joints = len(layout(shape.layout))
        self.keypoints = torch.from_numpy(self._column("keypoints", np.float32).reshape(-1, joints, 2))
        self.labeled = torch.from_numpy(self._column("labeled", np.uint8).reshape(-1, joints).astype(bool))
        self.areas = torch.from_numpy(self._column("area", np.float32))
        self.head_sizes = torch.from_numpy(self._column("head_size", np.float32))

    def __len__(self) -> int:
        """Number of people."""
        return int(self._starts[-1])

    def name(self, person: int) -> str:
        """The name of the image that a person is from."""
        table, row = self._place(person)
        return str(table.column("name")[row])

    def canvas(self, person: int) -> UInt8[np.ndarray, "side side 3"]:
        """A person's canvas, RGB; may be called from any thread."""
        table, row = self._place(person)
        data = np.frombuffer(table.column("jpeg")[row].as_buffer(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        assert pixels is not None  # files are written whole or not at all
        return pixels

    def _place(self, person: int) -> tuple[pa.Table, int]:
        file = int(np.searchsorted(self._starts, person, side="right")) - 1
        return self._tables[file], person - int(self._starts[file])

    def _column(self, name: str, dtype: type) -> np.ndarray:
        parts = [table.column(name).combine_chunks().flatten().to_numpy() for table in self._tables]
        return np.concatenate([np.zeros(0, dtype), *parts])


def _open(uri: str) -> pa.Table:
    """The rows of a file; they are mapped, and take no memory until they are read."""
    table = pa.ipc.open_file(pa.memory_map(str(storage.local_copy(uri, _CACHE_BYTES)))).read_all()
    written = (table.schema.metadata or {}).get(FORMAT_KEY, b"none").decode()
    if written != FORMAT:
        raise UserError(f"{uri}: the format is {written}, expected {FORMAT}; remove the folder, it is made again")
    return table
