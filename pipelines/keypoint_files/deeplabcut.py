"""DeepLabCut's CSV files: columns (scorer, individual if there are several animals, body part, x | y | likelihood).

Format: DeepLabCut's documentation, "Output files". Its HDF5 files hold the same table: export it as CSV (save_as_csv).
"""

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io import storage
from pipelines.keypoint_files.found import FoundVideo
from pipelines.keypoint_files.named_arrays import video_of_array
from schemas.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names of body parts, where these are others.

    Raises:
        UserError: It is not of this format, or its body parts are of no layout.
    """
    import pandas as pd  # here: --help asks for the options of all sources, and this takes half a second

    if not uri.lower().endswith(".csv"):
        raise UserError(f"{uri}: must be DeepLabCut's CSV file; write one with save_as_csv=True")
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
        levels = [line.split(",", 1)[0] for line in text.splitlines()[:4]]
        several = "individuals" in levels
        if "bodyparts" not in levels or "coords" not in levels:
            raise ValueError("its first lines must be scorer, bodyparts and coords")
        table = pd.read_csv(io.StringIO(text), header=list(range(4 if several else 3)), index_col=0)
        columns = [column[1:] if several else ("", *column[1:]) for column in table.columns]
        table.columns = pd.MultiIndex.from_tuples(columns)
        parts = list(dict.fromkeys(part for _, part, _ in columns))
        people = list(dict.fromkeys(individual for individual, _, _ in columns))
        values = np.stack([_array(table, individual, parts) for individual in people])
        numbers = [int(frame) for frame in table.index]
    except (OSError, ValueError, KeyError, pd.errors.ParserError) as error:
        raise UserError(f"{uri}: is not DeepLabCut's: {error}") from error
    # The network's name follows that of the video.
    name = uri.rpartition("/")[2].removesuffix(".csv").partition("DLC")[0]
    yield video_of_array(name, uri, values, parts, names, numbers=numbers)


def _array(table: "pd.DataFrame", individual: str, parts: list[str]) -> np.ndarray:
    """(frames, body parts, x | y | likelihood) of one individual; NaN for body parts that it does not have."""
    missing = np.full(len(table), np.nan)
    columns = [table.get((individual, part, what), missing) for part in parts for what in ("x", "y", "likelihood")]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1).reshape(len(table), len(parts), 3)
