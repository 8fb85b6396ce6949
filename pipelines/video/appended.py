"""Finds recordings at the end of a file that were appended byte by byte, and that the reader of its container ignores.

MPEG streams and Matroska files that were joined so are read to their end, and all frames are indexed. MP4, FLV and
others have one header: everything after a second one is ignored.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Containers with one header, whose first bytes are the same in every file of the kind.
_ONE_HEADER = ("flv", "asf", "ivf")
_HEAD_BYTES = 8
# A file may have at most this many MP4 boxes: a fragment is two of them, and the longest films have fewer fragments.
_MOST_BOXES = 1_000_000
_READ_BYTES = 1 << 20


def appended_at(path: str | Path, container: str, end: int) -> int | None:
    """The byte at which another recording begins that is not read; None if there is none.

    Args:
        path: The file.
        container: FFmpeg's name of the format.
        end: Where the last packet of the video ends, bytes.
    """
    with Path(path).open("rb") as file:
        if container.startswith("mov"):
            return _second_film(file)
        if container in _ONE_HEADER:
            return _second_header(file, end)
    return None


def _second_film(file: BinaryIO) -> int | None:
    """Where the file type box stands for a second time after an index."""
    indexed = False
    for kind, place in _boxes(file):
        if kind == b"ftyp" and indexed:
            return place
        indexed = indexed or kind == b"moov"
    return None


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(kind, place) of the boxes of the highest level (ISO/IEC 14496-12, 4.2), as far as they are whole."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        yield kind, place
        if size < 8:  # 0 means that the box reaches to the end of the file
            return
        place += size


def _second_header(file: BinaryIO, end: int) -> int | None:
    """Where the first bytes of the file stand again behind its last packet."""
    head = file.read(_HEAD_BYTES)
    place, before = end, b""
    file.seek(end)
    while content := file.read(_READ_BYTES):
        position = (before + content).find(head)
        if position >= 0:
            return place - len(before) + position
        place, before = place + len(content), content[-_HEAD_BYTES + 1 :]
    return None
