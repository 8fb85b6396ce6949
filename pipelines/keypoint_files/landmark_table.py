"""MediaPipe's landmarks as CSV, in the two forms in which people write what its API returns.

Wide, a row for each person of each frame: `x0, y0, z0, v0, …`, `landmark_0_x, …`, `nose_x, nose_y, nose_visibility, …`.
Long, a row for each landmark: `frame, landmark, x, y, z, visibility`, by number or name. Frames are in a column of that
name, several people of one in `person`; without frames, the rows of a wide table are frames 0, 1, 2, …
"""

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from pipelines.keypoint_files.csv_tables import read_csv_text
from pipelines.keypoint_files.found_videos import (
    FoundPerson,
    FoundVideo,
    people_of,
    require_frame_numbers,
    require_scores,
    whole_number,
)
from pipelines.keypoint_files.landmarks import are_shares_of_picture
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError
from schemas.joint_names import spelled
from schemas.layouts import LAYOUTS

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = LAYOUTS["blazepose33"]
# Tables have up to five columns for each of 33 landmarks, and a few others.
_MOST_COLUMNS = 2_000
# The position of each coordinate in a row of landmarks; those with -1 are not read.
_COORDINATES = {"x": 0, "y": 1, "v": 2, "vis": 2, "visibility": 2, "score": 2, "confidence": 2, "z": -1, "presence": -1}
# Words that do not identify a landmark.
_FILLERS = {"landmark", "landmarks", "lm", "pose", "keypoint", "kp", "joint", "point", "pos", "norm", "id", "idx"}
_NUMBER = "([ _]?(id|idx|index|no|nr|num|number))?"
_FRAME, _PERSON = re.compile(f"frame{_NUMBER}"), re.compile(f"(person|pose){_NUMBER}")
_LANDMARK = re.compile(f"(landmark|lm|keypoint|joint)({_NUMBER}|[ _]?name)|name|id")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# The (frame, person) of each row of an array of landmarks.
_Keys = list[tuple[int, str]]
_Landmarks = Float64[np.ndarray, "people 33 3"]


def read(uri: str) -> Iterator[FoundVideo]:
    """The video of a file.

    Raises:
        UserError: The table is not of this format.
    """
    import pandas as pd  # here: --help asks for the options of all sources, and this takes half a second

    try:
        table = pd.read_csv(io.StringIO(read_csv_text(uri, 1, _MOST_COLUMNS)), skipinitialspace=True)
    except ValueError as error:  # pandas' errors are such
        raise UserError(f"{uri}: is not a table of landmarks: {' '.join(str(error).split())}") from error
    table.columns = [str(name).strip() for name in table.columns]
    keys, values = (_long if {"x", "y"} <= set(table.columns.str.lower()) else _wide)(uri, table)
    require_frame_numbers({frame for frame, _ in keys}, uri)
    known = np.isfinite(values[..., :2]).all(-1) & (values[..., :2] != 0).any(-1)
    scores = np.where(known, np.nan_to_num(values[..., 2]), 0)
    require_scores(scores.ravel(), uri)
    places = np.where(known[..., None], values[..., :2], 0)
    persons: dict[int, list[FoundPerson]] = {n: [] for n in range(max((frame for frame, _ in keys), default=-1) + 1)}
    for (frame, _), *person in zip(keys, places, scores, strict=True):
        persons[frame].append(FoundPerson(*person))
    frames = {frame: people_of(frame_persons, len(LAYOUT)) for frame, frame_persons in persons.items()}
    note = None
    if _column(table, _FRAME) is None:
        note = f"{uri}: has no column frame; its rows are taken as frames 0 to {len(table) - 1}"
    shares = are_shares_of_picture(places, known, LAYOUT, uri)
    yield FoundVideo(name_of(uri), uri, LAYOUT, frames, shares=shares, note=note)


def _wide(uri: str, table: "pd.DataFrame") -> tuple[_Keys, _Landmarks]:
    """The landmarks of a table with a row for each person of each frame."""
    headings = {column: heading for column in table.columns if (heading := _heading(column))}
    joints = _joints(uri, {landmark for landmark, _ in headings.values()})
    values = np.full((len(table), len(LAYOUT), 3), np.nan)
    for place in range(3):
        columns = {joints[landmark]: column for column, (landmark, at) in headings.items() if at == place}
        if place < 2 and set(columns) != set(joints.values()):
            missing = sorted(LAYOUT.joints[joint] for joint in set(joints.values()) - set(columns))
            raise UserError(f"{uri}: has no column with {'xy'[place]} of {', '.join(missing)}")
        for joint in joints.values():
            values[:, joint, place] = _floats(uri, table, columns[joint]) if joint in columns else 1
    keys = _keys(uri, table)
    if twice := [frame for frame, before in zip(sorted(keys), sorted(keys)[1:], strict=False) if frame == before]:
        raise UserError(f"{uri}: has frame {twice[0][0]} twice; number the people of a frame in a column person")
    return keys, values


def _long(uri: str, table: "pd.DataFrame") -> tuple[_Keys, _Landmarks]:
    """The landmarks of a table with a row for each of them."""
    import pandas as pd

    # Some tables have both the number and the name of a landmark; the name is used.
    given = [column for column in table.columns if _LANDMARK.fullmatch(column.lower())]
    given.sort(key=lambda column: (pd.api.types.is_numeric_dtype(table[column].dtype), column.lower() == "id"))
    if not given or _column(table, _FRAME) is None:
        raise UserError(f"{uri}: a table with columns x and y must have columns frame and landmark too")
    codes, names = pd.factorize(table[given[0]].astype(str).str.removesuffix(".0"))
    landmarks = [_landmark(_WORDS.findall(name)) for name in names]
    joints = _joints(uri, {landmark for landmark in landmarks if landmark is not None})
    joint_of_row = np.array([-1 if landmark is None else joints[landmark] for landmark in landmarks])[codes]
    rows = joint_of_row >= 0
    numbers: dict[tuple[int, str], int] = {}
    people = np.array([numbers.setdefault(key, len(numbers)) for key in _keys(uri, table)], np.int64)
    keys = list(numbers)
    cells = people[rows] * len(LAYOUT) + joint_of_row[rows]
    if len(np.unique(cells)) < len(cells):
        values, times = np.unique(cells, return_counts=True)
        person, joint = divmod(int(values[times.argmax()]), len(LAYOUT))
        raise UserError(
            f"{uri}: has {LAYOUT.joints[joint]} of frame {keys[person][0]} {times.max()} times; number the people of a "
            "frame in a column person"
        )
    values = np.full((len(keys) * len(LAYOUT), 3), np.nan)
    for place in range(3):
        columns = [column for column in table.columns if _COORDINATES.get(column.lower()) == place]
        values[cells, place] = _floats(uri, table, columns[0])[rows] if columns else 1
    return keys, values.reshape(len(keys), len(LAYOUT), 3)


def _column(table: "pd.DataFrame", rule: re.Pattern[str]) -> str | None:
    return next((column for column in table.columns if rule.fullmatch(column.lower())), None)


def _keys(uri: str, table: "pd.DataFrame") -> _Keys:
    """Frame and person of each row."""
    frame, person = _column(table, _FRAME), _column(table, _PERSON)
    if frame is None and person is not None:
        raise UserError(f"{uri}: has a column {person}, and must have a column frame too")
    numbers = range(len(table)) if frame is None else _floats(uri, table, frame).tolist()
    people = [""] * len(table) if person is None else table[person].astype(str).tolist()
    return [(whole_number(number, f"{uri}: {frame}"), who) for number, who in zip(numbers, people, strict=True)]


def _floats(uri: str, table: "pd.DataFrame", column: str) -> Float64[np.ndarray, " rows"]:
    try:
        return np.asarray(table[column], np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{uri}: column {column} must hold numbers: {error}") from error


def _heading(column: str) -> tuple[str | int, int] | None:
    """The landmark and the coordinate that a column of a wide table holds; None if it holds neither."""
    words = _WORDS.findall(column)
    places = [_COORDINATES[word.lower()] for word in words if word.lower() in _COORDINATES]
    landmark = _landmark([word for word in words if word.lower() not in _COORDINATES])
    return None if landmark is None or len(places) != 1 else (landmark, places[0])


def _landmark(words: list[str]) -> str | int | None:
    """The number or name of a landmark from its words; None if it is not a body landmark."""
    words = [word for word in words if word.lower() not in _FILLERS]
    if len(words) == 1 and words[0].isdecimal():
        return int(words[0])
    name = spelled(" ".join(word if len(word) == 1 else word.lower() for word in words))
    return name if name in LAYOUT.joints else None


def _joints(uri: str, landmarks: set[str | int]) -> dict[str | int, int]:
    """The joints of landmarks, which MediaPipe numbers from 0 to 32, and others from 1 to 33.

    Raises:
        UserError: There are no landmarks, or they have other numbers.
    """
    numbers = {landmark for landmark in landmarks if isinstance(landmark, int)}
    last = len(LAYOUT) - 1
    if not landmarks:
        raise UserError(
            f"{uri}: has no landmarks; its columns must be x0, y0, z0, v0, … or nose_x, nose_y, nose_visibility, … or "
            "frame, landmark, x, y, z, visibility"
        )
    first = 1 if last + 1 in numbers else 0
    # Numbers from 1 that do not reach 33, and sets of 17 numbers, belong to another system or to an unknown numbering.
    if numbers and (
        min(numbers) < first or max(numbers) > last + first or (not first and min(numbers) == 1) or len(numbers) == 17
    ):
        raise UserError(
            f"{uri}: numbers its {len(numbers)} landmarks {min(numbers)} to {max(numbers)}, must be as MediaPipe does, "
            "0 to 32 (or 1 to 33); give others names (nose_x, left_hip_x, …)"
        )
    return {one: one - first if isinstance(one, int) else LAYOUT.index(one) for one in landmarks}
