"""The recordings of a job: finds them by name and reads their sequences one after another."""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pipelines.aligners.sequences import Sequence, of_keypoints, of_lifted
from pipelines.io import storage
from pipelines.tracks.keypoint_reader import TrackInfo, by_file, read_rows, survey
from pipelines.tracks.lifted_reader import poses_files, read_lifted
from schemas.configs.align import AlignConfig
from schemas.errors import UserError
from schemas.job_config import listed
from schemas.layouts import layout, without_feet


@dataclass(frozen=True)
class Recordings:
    """Keypoint tracks or lifted tracks.

    Attributes:
        ids: Their track ids.
        tracks: The keypoint tracks; empty if they are lifted.
        rows: The rows of each poses file, by track id.
    """

    ids: list[str]
    tracks: list[TrackInfo]
    rows: dict[str, dict[str, int]]

    def read(self, ids: Collection[str]) -> Iterator[tuple[str, Sequence | str]]:
        """Read some recordings, each with its id; for one that cannot be compared, the reason instead."""
        if self.tracks:
            for track in read_rows([track for track in self.tracks if track.track_id in ids], labels=False):
                yield track.track_id, _or_reason(of_keypoints, track)
            return
        for file, rows in self.rows.items():
            wanted = [row for name, row in rows.items() if name in ids]
            for track in read_lifted(file, wanted) if wanted else ():
                yield track.track_id, _or_reason(of_lifted, track)

    @property
    def files(self) -> list[str]:
        """The files that hold them."""
        return list(self.rows) if self.rows else list(by_file(self.tracks))

    def files_of(self, ids: Collection[str]) -> dict[str, list[str]]:
        """Some recordings by the file that holds them."""
        if self.rows:
            names_by_file = {file: list(rows) for file, rows in self.rows.items()}
        else:
            names_by_file = {
                file: [track.track_id for track in tracks] for file, tracks in by_file(self.tracks).items()
            }
        chosen_by_file = {file: [name for name in names if name in ids] for file, names in names_by_file.items()}
        return {file: names for file, names in chosen_by_file.items() if names}

    def find(self, field: str, name: str) -> str:
        """The one id that equals a name, or begins with it.

        Raises:
            UserError: No id fits, or several do.
        """
        matches = [name] if name in self.ids else sorted(track_id for track_id in self.ids if track_id.startswith(name))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(
                f"{field}={name}: {len(matches)} tracks begin so, the first is {matches[0]}; give more of the id"
            )
        near = difflib.get_close_matches(name, self.ids, n=1, cutoff=0.4) or sorted(self.ids)
        raise UserError(f"{field}={name}: no track is called so; there is {near[0]}, and {len(self.ids) - 1} others")


def find_recordings(config: AlignConfig) -> Recordings:
    """The recordings that a config names.

    Raises:
        UserError: The config names both tracks and poses, or neither; there are none; or their joints differ.
    """
    if (config.tracks is None) == (config.poses is None):
        raise UserError("tracks, poses: give one of them: tracks=… (of label) or poses=… (of lift)")
    if config.tracks is not None:
        tracks = survey(config.tracks, field="tracks")
        return Recordings([track.track_id for track in tracks], tracks, {})
    rows, layouts = {}, set()
    for file in (storage.absolute(file) for address in listed(config.poses) for file in poses_files(address)):
        table = storage.read_table(file, ["track_id", "layout", "error"]).to_pylist()
        rows[file] = {row["track_id"]: place for place, row in enumerate(table) if row["error"] is None}
        layouts |= {without_feet(layout(row["layout"])).name for row in table if row["error"] is None}
    if len(layouts) > 1:
        raise UserError(f"poses: are of the layouts {', '.join(sorted(layouts))}; give those of one lifter")
    ids = [name for of_file in rows.values() for name in of_file]
    if not ids:
        raise UserError("poses: no track could be lifted; give others")
    return Recordings(ids, [], rows)


def _or_reason(make, track) -> Sequence | str:  # noqa: ANN001 - a reader and what it reads
    try:
        return make(track)
    except UserError as error:
        return str(error)
