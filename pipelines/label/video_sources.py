"""Finds the videos that `videos=` names: a file, a folder, a glob, any fsspec URI, a list of these, or a manifest."""

import re
from collections.abc import Iterator, Mapping, Sequence

from pipelines.io import storage
from pipelines.label import video_manifest
from pipelines.label.video_files import VIDEO_SUFFIXES, LeftOut, no_pictures, videos_in
from schemas.errors import UserError
from schemas.formats.videos import VideoSource


def find_videos(
    inputs: str | Sequence[str], output: str | None = None, left_out: LeftOut | None = None
) -> list[VideoSource]:
    """Every video that the inputs name, once each, in the order of their URIs.

    Args:
        inputs: As `videos=` has them.
        output: Output of the job: files in it that a folder or a pattern finds are no input.
        left_out: Takes what folders hold besides.

    Raises:
        UserError: An input that does not exist or holds no video, a manifest that cannot be used, or one video
            named twice with different cameras or subjects.
    """
    sources: dict[str, VideoSource] = {}
    left_out = LeftOut() if left_out is None else left_out
    for entry in [inputs] if isinstance(inputs, str) else inputs:
        for source in _expand(entry, output, left_out):
            known = sources.setdefault(source.uri, source)
            if known != source:
                raise UserError(f"videos: {source.uri} is named twice, with different subject or camera; keep one")
    if not sources:
        raise UserError("videos: the list is empty; give a file, a folder, a glob, a URI or a manifest")
    return [sources[uri] for uri in sorted(sources)]


def _expand(entry: str, output: str | None, left_out: LeftOut) -> Iterator[VideoSource]:
    if not entry:
        raise UserError("videos: is empty; give a file, a folder, a glob, a URI or a manifest (.csv, .tsv, .parquet)")
    fs, path = storage.filesystem(entry)
    own = _path_on(fs, output)
    matches: Mapping[str, str | None]
    # The name of an existing file may look like a pattern, and a signed link has a question mark.
    if any(mark in entry for mark in "*?[") and not fs.exists(path):
        written = re.split(r"[*?[]", path, maxsplit=1)[0].count("/")
        found = [str(p) for p in fs.glob(path) if fs.isfile(p) and not _is_hidden(str(p), written)]
        matches = {p: None for p in found if own is None or not p.startswith(f"{own}/")}
        no_pictures(entry, list(matches))
        if not matches:
            raise UserError(f"videos={entry}: nothing matches; check the pattern (quoted from the shell?)")
    elif entry.lower().endswith(video_manifest.SUFFIXES):
        yield from video_manifest.read_manifest(entry)
        return
    elif fs.isdir(path):
        matches = videos_in(entry, own, left_out)
        if not matches:
            no_pictures(entry, [p for paths in left_out.paths.values() for p in paths])
            raise UserError(f"videos={entry}: the folder holds no videos ({', '.join(VIDEO_SUFFIXES[:6])}, …)")
    elif fs.exists(path):
        matches = {path: None}
    else:
        no_pictures(entry, [entry] if "%" in entry else [])
        raise UserError(f"videos={entry}: there is no such file or folder")
    for match, version in matches.items():
        yield VideoSource(uri=video_manifest.checked(storage.address_of(fs, match)), version=version)


def _path_on(fs: storage.FileSystem, output: str | None) -> str | None:
    """The path of the output on a file system; None if it lies on another one."""
    if output is None:
        return None
    other, path = storage.filesystem(output)
    return storage.absolute(output) if storage.is_local(output) and fs == other else path if fs == other else None


def _is_hidden(path: str, written: int) -> bool:
    """Whether it is a dot file, such as writers leave beside videos, or in a hidden folder that a pattern found.

    Args:
        path: The path.
        written: How many of its folders are written out in the pattern, and so are meant.
    """
    return any(name.startswith(".") for name in path.split("/")[written:])
