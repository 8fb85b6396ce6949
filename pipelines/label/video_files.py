"""The videos of a folder: found by suffix or by their first bytes, with a record of everything that is left out."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pipelines.io import storage
from pipelines.video.numbered import numbered_groups
from pipelines.video.remote_pictures import listed_version, version_of
from schemas.errors import UserError

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".vob", ".qt", ".m2v", ".3g2", ".f4v", ".asf", ".divx"),
)
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".gif", ".jp2", ".ppm")
# Files with these suffixes are certainly not videos, so their first bytes are not read.
_OTHER_SUFFIXES = (
    *(".txt", ".md", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xml", ".html", ".pdf", ".log", ".py", ".parquet"),
    *(".npz", ".npy", ".zip", ".gz", ".tar", ".db", ".m4a", ".mp3", ".wav", ".ogg", ".opus", ".aac", ".srt", ".vtt"),
)
# The first bytes of video containers, and their offsets; in ISO files it is the type of the first box.
_MAGIC = (
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    *((0, head) for head in (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\0\0\x01\xba", b"\0\0\x01\xb3")),
    *((0, head) for head in (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x06\x0e\x2b\x34\x02\x05\x01\x01", b"DHAV")),
    (8, b"AVI "),
)
# Brands of ISO files that hold sound or pictures, not video.
_NO_VIDEO_BRANDS = (b"M4A ", b"M4B ", b"heic", b"heix", b"mif1", b"msf1", b"avif")
# The packets of MPEG-TS begin with this byte; on discs, four bytes precede each packet.
_TS_SYNC, _TS_PACKETS = 0x47, ((0, 188), (4, 192))
_HEAD_BYTES = 512


@dataclass
class LeftOut:
    """What a folder holds besides the videos that are labeled: the paths by the reason."""

    paths: dict[str, list[str]] = field(default_factory=dict)

    def add(self, path: str, reason: str) -> None:
        """Record a file or folder that is left out."""
        self.paths.setdefault(reason, []).append(path)

    def document(self, examples: int = 5) -> list[dict[str, Any]]:
        """A dict for each reason, the most frequent first."""
        by_count = sorted(self.paths.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        return [
            {"reason": reason, "files": len(paths), "examples": sorted(paths)[:examples]} for reason, paths in by_count
        ]


def videos_in(folder: str, output: str | None, left_out: LeftOut, fps: float | None = None) -> dict[str, str | None]:
    """The videos in a folder and all folders below it: path on its file system, and version if a listing says it.

    Args:
        folder: Its address.
        output: Path of the job's output on the same file system, whose files are no input; None if it lies elsewhere.
        left_out: Takes what is not a video.
        fps: The rate of numbered pictures; None: they are left out.
    """
    fs, path = storage.filesystem(folder)
    local = storage.is_local(folder)
    files = _local_files(path, output, left_out) if local else _remote_files(fs, path, output, left_out)
    videos: dict[str, str | None] = {}
    if fps is not None:
        videos, rest = take_pictures(dict(files), fps)
        files = iter(rest.items())
    for file, version in files:
        name = file.rpartition("/")[2]
        ending = os.path.splitext(name)[1].lower()
        if name.startswith("."):
            left_out.add(file, "hidden file")
        elif ending in VIDEO_SUFFIXES or (local and ending not in _KNOWN and _begins_like_a_video(file)):
            videos[file] = version
        else:
            left_out.add(file, f"no video: {ending}" if ending else "no video: no ending")
    return videos


def take_pictures(
    versions: Mapping[str, str | None], fps: float | None
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Numbered pictures as videos: addresses of patterns with versions, and the files that are no part of any.

    Args:
        versions: Files, with what listings say of their versions.
        fps: The rate that pictures were taken at; None if it is not known.
    """
    rest, patterns = dict(versions), dict[str, str | None]()
    for pattern, paths in [] if fps is None else numbered_groups(filter(is_picture, versions), fps):
        patterns[pattern.address] = version_of({path: rest.pop(path) for path in paths})
    return patterns, rest


def is_picture(path: str) -> bool:
    """Whether a path has a suffix of pictures."""
    return path.lower().endswith(PICTURE_SUFFIXES)


def no_pictures(entry: str, paths: Iterable[str]) -> None:
    """Refuse pictures, which a decoder would take for videos of one frame each.

    Raises:
        UserError: There are pictures; the message tells how numbered pictures become one video.
    """
    pictures = [path for path in paths if is_picture(path)]
    if pictures:
        ending = os.path.splitext(pictures[0])[1]
        raise UserError(
            f"videos={entry}: names pictures ({ending}), not videos; numbered pictures of a folder are one video if "
            "a pattern or their folder names them and their rate is given: videos=imgs/%05d.jpg fps=30"
        )


_KNOWN = (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES, *_OTHER_SUFFIXES)


def _local_files(folder: str, output: str | None, left_out: LeftOut) -> Iterator[tuple[str, None]]:
    """All files below a folder. Links to folders are followed, each folder once, so that loops end."""
    visited = {os.path.realpath(folder)}

    def note(error: OSError) -> None:
        left_out.add(str(error.filename), f"cannot be read: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=note, followlinks=True):
        kept = []
        for name in sorted(folders):
            path = os.path.join(parent, name)
            real = os.path.realpath(path)
            if name.startswith("."):
                left_out.add(path, "hidden folder")
            elif output is not None and real == os.path.realpath(output):
                left_out.add(path, "the output of this job")
            elif real in visited:
                left_out.add(path, "linked folder that is taken elsewhere")
            else:
                visited.add(real)
                kept.append(name)
        folders[:] = kept
        yield from ((os.path.join(parent, name), None) for name in files)


def _remote_files(
    fs: storage.FileSystem, folder: str, output: str | None, left_out: LeftOut
) -> Iterator[tuple[str, str | None]]:
    for path, entry in cast(Mapping[str, Any], fs.find(folder, detail=True)).items():
        below = path.removeprefix(folder).strip("/").split("/")[:-1]
        if any(name.startswith(".") for name in below):
            left_out.add(path, "hidden folder")
        elif output is not None and path.startswith(f"{output.rstrip('/')}/"):
            left_out.add(path, "the output of this job")
        else:
            yield path, listed_version(entry)


def _begins_like_a_video(path: str) -> bool:
    try:
        with storage.open_file(path) as file:  # which opens no named pipe: that would wait for ever
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    if head[4:8] == b"ftyp" and head[8:12] in _NO_VIDEO_BRANDS:
        return False
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return True
    # Three packets in a row are required, because a single byte proves nothing.
    return any(
        len(head) > at + 2 * size and all(head[at + n * size] == _TS_SYNC for n in range(3)) for at, size in _TS_PACKETS
    )
