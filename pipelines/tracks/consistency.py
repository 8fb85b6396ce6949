"""What the tracks of one corpus have in common: ids of their own in each file, and joints."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from pipelines.io.secrets import printable
from schemas.errors import UserError

_LAYOUTS = ("layout", "positions_layout")


@runtime_checkable
class Listed(Protocol):
    """A track, or a description of one such as `TrackInfo`."""

    @property
    def track_id(self) -> str:
        """Identifies the track."""
        ...

    @property
    def layout(self) -> str:
        """Joint layout of the keypoints."""
        ...

    @property
    def positions_layout(self) -> str | None:
        """Joint layout of the positions; None if unlabeled."""
        ...


def require_own_ids(where: str, tracks: Iterable[Listed]) -> None:
    """Check that no two tracks of a file have one id; `where` names it in messages.

    Raises:
        UserError: Two have.
    """
    for name, times in Counter(track.track_id for track in tracks).most_common(1):
        if times > 1:
            raise UserError(f"{where}: two tracks are called {printable(name)}; keep one of them")


def require_one_layout(where: str, tracks: Iterable[Listed]) -> None:
    """Check that tracks have the same joints; `where` names them in messages.

    Raises:
        UserError: They have not.
    """
    tracks = list(tracks)
    for name in _LAYOUTS:
        layouts = sorted({value for track in tracks if (value := getattr(track, name)) is not None})
        if len(layouts) > 1:
            raise UserError(
                f"{where}: tracks must share one {name}, found {printable(', '.join(layouts))}; give them separately"
            )


def unlike_others(files: Mapping[str, Sequence[Listed]]) -> dict[str, UserError]:
    """Files whose tracks share an id, or have other joints than those of most files, with the errors.

    Files count, not tracks: one file, which may hold any number of tracks, does not outvote the others. Where as many
    files have the one layout as the other, none of them is refused here.

    Args:
        files: The tracks of each.
    """
    unlike: dict[str, UserError] = {}
    for file, tracks in files.items():
        try:
            require_own_ids(file, tracks)
            require_one_layout(file, tracks)
        except UserError as error:
            unlike[file] = error
    for name in _LAYOUTS:
        known = {
            file: value
            for file, tracks in files.items()
            if file not in unlike and (value := next(filter(None, (getattr(track, name) for track in tracks)), None))
        }
        counts = Counter(known.values()).most_common(2)
        if len(counts) < 2 or counts[0][1] == counts[1][1]:
            continue
        usual = counts[0][0]
        for file, value in known.items():
            if value != usual:
                values = printable(f"{value}, and {usual} in most files")
                unlike[file] = UserError(f"{file}: tracks must share one {name}, found {values}; give it separately")
    return unlike
