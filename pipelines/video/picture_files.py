"""Reads the files of numbered pictures: from a folder, or from an archive that is the local copy of a store's files.

The archive is a tar file of the pictures in the order of their numbers, each named by its number, so that a file of the
cache holds a video, whatever its kind. It stays readable while it is open, also if the cache needs its place.
"""

import io
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipelines.video.errors import VideoError
from pipelines.video.numbered import NumberedPictures


class PictureFiles:
    """The pictures that an address means, ascending by their numbers.

    Args:
        pictures: The address. Its folder may be an archive.

    Attributes:
        numbers: Their numbers.
    """

    def __init__(self, pictures: NumberedPictures) -> None:
        archive = Path(pictures.folder)
        self._archive = archive.open("rb") if archive.is_file() else None
        self._suffix = Path(pictures.after).suffix
        if self._archive is None:
            files = pictures.existing_pictures()
            self.numbers = [number for number, _ in files]
            self._files: list[Path] = [path for _, path in files]
        else:
            members = _members(self._archive)
            self.numbers = [number for number, _, _ in members]
            self._places = [(start, size) for _, start, size in members]

    def name(self, place: int) -> str:
        """The name of a picture."""
        return self._files[place].name if self._archive is None else f"{self.numbers[place]}{self._suffix}"

    def read(self, place: int) -> bytes:
        """The content of a picture.

        Raises:
            VideoError: The picture cannot be read.
        """
        try:
            if self._archive is not None:
                start, size = self._places[place]
                self._archive.seek(start)
                return self._archive.read(size)
            if not self._files[place].is_file():
                raise VideoError("not a file")
            return self._files[place].read_bytes()
        except OSError as error:
            raise VideoError(f"the file cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()


def write_archive(path: str | Path, pictures: Iterable[tuple[int, bytes]]) -> None:
    """Write pictures, given by ascending numbers, into an archive.

    Raises:
        OSError: The archive cannot be written.
    """
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, content in pictures:
            member = tarfile.TarInfo(str(number))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def archive_bytes(sizes: Iterable[int]) -> int:
    """The size of an archive of pictures of these sizes."""
    block, record = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
    content = sum(block + -(-size // block) * block for size in sizes) + 2 * block
    return -(-content // record) * record


def _members(archive: BinaryIO) -> list[tuple[int, int, int]]:
    """(number, start, size) of each picture."""
    members = []
    with suppress(tarfile.TarError), tarfile.open(fileobj=archive, mode="r:") as opened:
        members = [
            (int(member.name), member.offset_data, member.size)
            for member in opened
            if member.isreg() and member.name.isascii() and member.name.isdigit()
        ]
    return sorted(members)
