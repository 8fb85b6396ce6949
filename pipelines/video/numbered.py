"""Numbered pictures in a folder that are one video: their address is their pattern and their rate.

`walk/%05d.jpg#fps=30` are the pictures walk/00000.jpg, walk/00001.jpg and so on, taken 30 times a second. As the rate
is part of the address, whoever knows the video also knows when each picture was taken.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

# A number has at most 18 digits, because more would not fit into the times of frames.
_PATTERN = re.compile(r"(?P<before>[^/]*?)%(0(?P<digits>\d{1,2}))?d(?P<after>[^/]*?)")
_ADDRESS = re.compile(rf"(?P<folder>.*/)?{_PATTERN.pattern}#fps=(?P<fps>\d+(\.\d+)?)", re.DOTALL)
# Finds the last number before the suffix of a name.
_NAME = re.compile(r"(.*?)(\d{1,18})(\D*\.\w+)", re.DOTALL)


@dataclass(frozen=True)
class NumberedPictures:
    """A pattern of pictures, and the rate that they were taken at.

    Attributes:
        folder: The folder, with its slash at the end.
        before: What stands before the number in their names.
        digits: Digits that a number has at least; zeros fill it up.
        after: What stands behind the number.
        fps: Pictures per second.
    """

    folder: str
    before: str
    digits: int
    after: str
    fps: float

    @classmethod
    def of_address(cls, address: str | Path) -> Self | None:
        """The pictures that an address means; None if it is that of a file."""
        match = _ADDRESS.fullmatch(str(address))
        if match is None:
            return None
        digits = int(match["digits"] or 1)
        return cls(match["folder"] or "", match["before"], digits, match["after"], float(match["fps"]))

    @classmethod
    def of_pattern(cls, path: str, fps: float) -> Self | None:
        """The pictures of a pattern such as `walk/%05d.jpg`; None if the path is not a pattern."""
        return cls.of_address(f"{path}#fps={fps:.12g}")

    @property
    def address(self) -> str:
        """The address of the pictures."""
        number = f"%0{self.digits}d" if self.digits > 1 else "%d"
        return f"{self.folder}{self.before}{number}{self.after}#fps={self.fps:.12g}"

    @property
    def name(self) -> str:
        """A name for people: the folder, and the text before the number."""
        return (
            "-".join(filter(None, (os.path.basename(self.folder.rstrip("/")), self.before.strip("-_ ")))) or "pictures"
        )

    def existing_pictures(self) -> list[tuple[int, Path]]:
        """Number and path of each picture that exists, ascending."""
        try:
            with os.scandir(self.folder or ".") as entries:
                numbers = ((self.number_of(entry.name), entry.path) for entry in entries)
                return sorted((number, Path(path)) for number, path in numbers if number is not None)
        except OSError:
            return []

    def moved_to(self, folder: str) -> Self:
        """The same pictures in another folder, which ends in a slash."""
        return replace(self, folder=folder)

    def number_of(self, path: str) -> int | None:
        """The number of a picture of these, by its path or name; None if it is none of them."""
        name = path.rpartition("/")[2]
        if not (name.startswith(self.before) and name.endswith(self.after)):
            return None
        digits = name[len(self.before) : len(name) - len(self.after)]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        return int(digits) if str(int(digits)).zfill(self.digits) == digits else None


def numbered_groups(paths: Iterable[str], fps: float) -> list[tuple[NumberedPictures, list[str]]]:
    """The patterns of two or more pictures each that the names of files follow, with the files of each."""
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for path in paths:
        folder, _, name = path.rpartition("/")
        if match := _NAME.fullmatch(name):
            before, number, after = match.groups()
            groups[f"{folder}/", before, after].append((number, path))
    patterns = []
    for (folder, before, after), files in sorted(groups.items()):
        filled = [len(number) for number, _ in files if number.startswith("0")]
        pattern = NumberedPictures(folder, before, min(filled, default=1), after, fps)
        if len(files) > 1:
            patterns.append((pattern, [path for _, path in files if pattern.number_of(path) is not None]))
    return patterns


def is_there(path: str) -> bool:
    """Whether a local video exists: a file, or numbered pictures of which there is at least one."""
    pictures = NumberedPictures.of_address(path)
    return bool(pictures.existing_pictures()) if pictures else os.path.lexists(path)
