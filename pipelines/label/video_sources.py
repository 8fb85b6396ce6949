"""Finds the videos that `videos=` names: a file, a folder, a glob, any fsspec URI, a list of these, or a manifest."""

from collections.abc import Iterator, Sequence

from pipelines.io import storage
from pipelines.label import video_manifest
from schemas.errors import UserError
from schemas.formats.videos import VideoSource

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv"),
)


def find_videos(inputs: str | Sequence[str]) -> list[VideoSource]:
    """Every video that the inputs name, once each, in the order of their URIs.

    Raises:
        UserError: An input that does not exist or holds no video, a manifest that cannot be used, or one video
            named twice with different cameras or subjects.
    """
    sources: dict[str, VideoSource] = {}
    for entry in [inputs] if isinstance(inputs, str) else inputs:
        for source in _expand(entry):
            known = sources.setdefault(source.uri, source)
            if known != source:
                raise UserError(f"videos: {source.uri} is named twice, with different subject or camera; keep one")
    if not sources:
        raise UserError("videos: the list is empty; give a file, a folder, a glob, a URI or a manifest")
    return [sources[uri] for uri in sorted(sources)]


def _expand(entry: str) -> Iterator[VideoSource]:
    if not entry:
        raise UserError("videos: is empty; give a file, a folder, a glob, a URI or a manifest (.csv, .tsv, .parquet)")
    fs, path = storage.filesystem(entry)
    # The name of an existing file may look like a pattern, and a signed link has a question mark.
    if any(mark in entry for mark in "*?[") and not fs.exists(path):
        matches = [p for p in fs.glob(path) if fs.isfile(p) and not _is_hidden(str(p))]
        if not matches:
            raise UserError(f"videos={entry}: nothing matches; check the pattern (quoted from the shell?)")
    elif entry.lower().endswith(video_manifest.SUFFIXES):
        yield from video_manifest.read_manifest(entry)
        return
    elif fs.isdir(path):
        matches = [p for p in fs.find(path) if p.lower().endswith(VIDEO_SUFFIXES) and not _is_hidden(str(p))]
        if not matches:
            raise UserError(f"videos={entry}: the folder holds no videos ({', '.join(VIDEO_SUFFIXES[:6])}, …)")
    elif fs.exists(path):
        matches = [path]
    else:
        raise UserError(f"videos={entry}: there is no such file or folder")
    for match in matches:
        yield VideoSource(uri=video_manifest.checked(storage.address_of(fs, str(match))))


def _is_hidden(path: str) -> bool:
    """Whether it is a dot file, such as writers leave beside videos while they write."""
    return path.rpartition("/")[2].startswith(".")
