"""TRC files of pixels, as Sports2D and Pose2Sim write them for each person: TRC is OpenSim's format of markers.

Format: OpenSim's documentation, "Marker (.trc) Files": five lines of header, then frame, time, X Y Z of each marker.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.io import storage
from pipelines.keypoint_files.found_videos import FASTEST_FPS, FoundVideo, whole_number
from pipelines.keypoint_files.named_arrays import video_of_array
from schemas.errors import UserError

_HEADER_LINES = 5


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The person of a file.

    Args:
        uri: The file.
        names: Joint names by the names of markers, where these are others.

    Raises:
        UserError: The file is not of this format or not in pixels, its markers fit no layout, or it has no rate.
    """
    try:
        lines = storage.read_bytes(uri).decode("utf-8-sig").splitlines()
        header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
        units, fps = header.get("Units", "").strip().lower(), float(header["DataRate"])
        markers = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
        cells = 2 + 3 * len(markers)
        values = np.array([_row(line, cells) for line in lines[_HEADER_LINES:] if line.strip()], np.float64)
        points = values[:, 2:].reshape(len(values), len(markers), 3)[..., :2]
    except (OSError, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise UserError(f"{uri}: is not a TRC file: {error}") from error
    if units not in ("px", "pixels"):
        raise UserError(
            f"{uri}: Units={units or 'unknown'}: holds places in space, not in the picture; give the TRC of pixels "
            "(px), or import positions with import_poses"
        )
    if not 0 < fps <= FASTEST_FPS:
        raise UserError(
            f"{uri}: DataRate={fps:g}: must be above 0, the frames per second, and at most {FASTEST_FPS:,}; correct "
            "the header"
        )
    # The picture's y axis points down and OpenSim's points up, so some programs write negative y.
    points = points * (1, -1 if np.nanmedian(points[..., 1]) < 0 else 1)
    known = np.isfinite(points).all(-1) & (points != 0).any(-1)
    triples = np.concatenate([points, np.where(known, 1.0, np.nan)[..., None]], axis=2)[None]
    numbers = [whole_number(row[0], f"{uri}: Frame#") for row in values.tolist()]
    name = re.sub(r"_(px|person\d+|Sports2D).*$", "", uri.rpartition("/")[2].removesuffix(".trc"))
    yield video_of_array(name, uri, triples, markers, names, numbers=numbers, fps=fps)


def _row(line: str, cells: int) -> list[float]:
    """The numbers of a frame, without what stands behind them.

    Raises:
        ValueError: The line has fewer cells, or they hold no numbers. Millions of short lines would fill the memory.
    """
    row = line.split("\t")[:cells]
    if len(row) < cells:
        raise ValueError(f"a frame has {len(row)} values, must have {cells}")
    return [float(cell or "nan") for cell in row]
