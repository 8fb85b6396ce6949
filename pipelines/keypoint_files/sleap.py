"""SLEAP's analysis files (HDF5): tracks (animals, 2, nodes, frames), point_scores and node_names.

Format: SLEAP's documentation, "Analysis HDF5". Needs h5py.
"""

import io
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.io import storage
from pipelines.keypoint_files.found import FoundPerson, FoundVideo, people_of
from pipelines.keypoint_files.joint_names import layout_by_names
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names of nodes, where these are others.

    Raises:
        UserError: It is not of this format, its nodes are of no layout, or h5py is not installed.
    """
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("source.name=sleap: needs h5py; pip install h5py") from error
    try:
        with h5py.File(io.BytesIO(storage.read_bytes(uri)), "r") as file:
            tracks = np.asarray(file["tracks"], np.float64)
            scores = np.asarray(file["point_scores"], np.float64) if "point_scores" in file else None
            nodes = [name.decode() for name in file["node_names"]]
        people = tracks.transpose(0, 3, 2, 1)
        weights = np.ones(people.shape[:3]) if scores is None else scores.transpose(0, 2, 1)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{uri}: is not SLEAP's analysis file (export it as Analysis HDF5): {error}") from error
    layout, shared, note = layout_by_names([names.get(node, node) for node in nodes], uri)
    places = np.array(shared)
    known = np.isfinite(people).all(-1) & np.isfinite(weights)
    keypoints, confidences = np.zeros((*people.shape[:2], len(layout), 2)), np.zeros((*people.shape[:2], len(layout)))
    keypoints[:, :, places[:, 0]] = np.where(known[..., None], people, 0)[:, :, places[:, 1]]
    confidences[:, :, places[:, 0]] = np.where(known, np.clip(weights, 0, 1), 0)[:, :, places[:, 1]]
    frames = {
        frame: people_of(map(FoundPerson, keypoints[:, frame], confidences[:, frame]), len(layout))
        for frame in range(people.shape[1])
    }
    yield FoundVideo(name_of(uri), uri, layout, frames, note=note)
