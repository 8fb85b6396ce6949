"""Finds the videos that `videos=` names: a file, folder, glob, any fsspec URI, numbered pictures, list, manifest."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pipelines.io import storage
from pipelines.label import video_manifest
from pipelines.label.video_files import VIDEO_SUFFIXES, LeftOut, is_picture, no_pictures, take_pictures, videos_in
from pipelines.video.numbered import NumberedPictures
from pipelines.video.remote_pictures import NOT_LISTED, listed_version, listing, lists_files, version_of
from schemas.errors import UserError
from schemas.formats.videos import VideoSource


def find_videos(
    inputs: str | Sequence[str],
    output: str | None = None,
    left_out: LeftOut | None = None,
    fps: float | None = None,
) -> list[VideoSource]:
    """Every video that the inputs name, once each, in the order of their URIs.

    Args:
        inputs: As `videos=` has them.
        output: Output of the job: files in it that a folder or a pattern finds are no input.
        left_out: Takes what folders hold besides.
        fps: The rate of numbered pictures, which are one video each.

    Raises:
        UserError: An input does not exist or holds no video, a manifest cannot be used, one video is named
            twice with different cameras or subjects, or a rate is given without pictures.
    """
    sources: dict[str, VideoSource] = {}
    left_out = LeftOut() if left_out is None else left_out
    for entry in [inputs] if isinstance(inputs, str) else inputs:
        for source in _expand(entry, output, left_out, fps):
            known = sources.setdefault(source.uri, source)
            if known != source:
                raise UserError(f"videos: {source.uri} is named twice, with different subject or camera; keep one")
    if not sources:
        raise UserError("videos: the list is empty; give a file, a folder, a glob, a URI or a manifest")
    if fps is not None and not any(map(NumberedPictures.of_address, sources)):
        raise UserError(
            f"fps={fps:g}: is the rate of numbered pictures (imgs/%05d.jpg), and videos names none; leave it out: "
            "films say when each frame was taken"
        )
    return [sources[uri] for uri in sorted(sources)]


def _expand(entry: str, output: str | None, left_out: LeftOut, fps: float | None) -> Iterator[VideoSource]:
    if not entry:
        raise UserError("videos: is empty; give a file, a folder, a glob, a URI or a manifest (.csv, .tsv, .parquet)")
    if entry.lower().endswith(video_manifest.SUFFIXES):
        for source in video_manifest.read_manifest(entry):
            yield source.model_copy(update={"uri": _with_rate(source.uri, fps)})
        return
    fs, path = storage.filesystem(entry)
    for match, version in _matches(fs, path, entry, _path_on(fs, output), left_out, fps).items():
        yield VideoSource(uri=video_manifest.checked(storage.address_of(fs, match)), version=version)


def _matches(
    fs: storage.FileSystem, path: str, entry: str, own: str | None, left_out: LeftOut, fps: float | None
) -> Mapping[str, str | None]:
    """The paths that an entry names, and their versions where a listing says them."""
    # The name of an existing file may look like a pattern, and a signed link contains a question mark.
    if any(mark in entry for mark in "*?[") and not fs.exists(path):
        written = re.split(r"[*?[]", path, maxsplit=1)[0].count("/")
        entries = cast(Mapping[str, Mapping[str, Any]], fs.glob(path, detail=True))
        files = {
            str(p): None if storage.is_local(entry) else listed_version(facts)
            for p, facts in entries.items()
            if (facts["type"] == "file" or fs.isfile(p)) and not _is_hidden(str(p), written)
        }
        files = {p: version for p, version in files.items() if own is None or not p.startswith(f"{own}/")}
        patterns, rest = take_pictures(files, fps)
        no_pictures(entry, rest)
        if not files:
            raise UserError(f"videos={entry}: nothing matches; check the pattern (quoted from the shell?)")
        return patterns | rest
    if fs.isdir(path):
        matches = videos_in(entry, own, left_out, fps)
        if not matches:
            no_pictures(entry, [p for paths in left_out.paths.values() for p in paths])
            raise UserError(f"videos={entry}: the folder holds no videos ({', '.join(VIDEO_SUFFIXES[:6])}, …)")
        return matches
    if fs.exists(path):
        return {path: listed_version(fs.info(path)) if lists_files(fs) else None}
    pattern = NumberedPictures.of_pattern(path, fps) if fps else None
    if pattern is None:
        no_pictures(entry, [entry] if "%" in entry else [])
        raise UserError(f"videos={entry}: there is no such file or folder")
    return {pattern.address: _version_of_pictures(fs, pattern, entry)}


def _version_of_pictures(fs: storage.FileSystem, pattern: NumberedPictures, entry: str) -> str | None:
    """The version of the pictures of a pattern; None if the files themselves tell it.

    Raises:
        UserError: There are no such pictures.
    """
    local = storage.is_local(entry)
    if not local and not lists_files(fs):
        raise UserError(f"videos={entry}: {NOT_LISTED}")
    try:
        entries = {} if local else listing(fs, pattern)
    except OSError:  # there is no such folder
        entries = {}
    if not entries and not (local and pattern.existing_pictures()):
        raise UserError(f"videos={entry}: no picture has a name of this pattern; check the number of digits")
    return version_of({path: listed_version(facts) for path, facts in entries.items()}) if entries else None


def _with_rate(uri: str, fps: float | None) -> str:
    """The address of a manifest's video; numbered pictures get their rate."""
    if fps is None or not is_picture(uri):
        return uri
    pattern = NumberedPictures.of_pattern(uri, fps)
    return uri if pattern is None else pattern.address


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
