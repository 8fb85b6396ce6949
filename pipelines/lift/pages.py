"""Pages and rendered videos that show lifted tracks."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.io import storage
from pipelines.io.addresses import require_nameable
from pipelines.io.file_names import same_file
from pipelines.io.secrets import redact
from pipelines.io.shards import digest
from pipelines.lift.exports import export_name, stem
from pipelines.lift.ledger import StoredTrack
from pipelines.lift.plan import name_of
from pipelines.report.poses.pose_page import pose_page
from pipelines.report.poses.pose_video import render_gif, render_mp4, render_png
from pipelines.report.poses.scene import Person, Scene
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.video.errors import VideoError, reason_of
from pipelines.video.fetch import exists, fetch_video
from schemas.errors import RunFailed, UserError

# Disk space for local copies of remote videos, bytes.
CACHE_BYTES = 50_000_000_000
# A page shows at most this many people; with more it would be slow, and nobody could follow it.
MAX_PEOPLE = 16


@dataclass(frozen=True)
class Show:
    """A page, and the rendered videos beside it.

    Attributes:
        name: Address of the page, without suffix.
        video: Address of the video.
        people: The tracks that are shown.
        movies: Whether there are an MP4 and a GIF too.
        hosts: Hosts of web servers that may have private addresses.
    """

    name: str
    video: str
    people: tuple[StoredTrack, ...]
    movies: bool
    hosts: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Addresses of its files."""
        return tuple(f"{self.name}{suffix}" for suffix in ((".html", ".mp4", ".gif") if self.movies else (".html",)))

    @property
    def complete(self) -> bool:
        """Whether all its files exist."""
        return all(storage.exists(file) for file in self.files)

    @property
    def frames(self) -> int:
        """About how many frames are drawn: all for the page and all for the MP4, without the few of the GIF."""
        return max(track.frames for track in self.people) * (2 if self.movies else 1)


def shows_of_videos(
    output: str, videos: Sequence[str], tracks: Iterable[StoredTrack], hosts: tuple[str, ...] = ()
) -> list[Show]:
    """A show for each of the videos with somebody in it."""
    by_video: dict[str, list[StoredTrack]] = {}
    for track in tracks:
        by_video.setdefault(track.video, []).append(track)
    stems = [stem(video) for video in videos]
    name_counts = Counter(map(same_file, stems))
    shows = []
    for video, name in zip(videos, stems, strict=True):
        if people := sorted(by_video.get(video, []), key=lambda track: -track.frames)[:MAX_PEOPLE]:
            # If videos in several folders have the same name, their pages get a suffix.
            name = name if name_counts[same_file(name)] == 1 else f"{name}-{digest(video)[:8]}"
            people.sort(key=lambda track: track.person)
            shows.append(Show(storage.join(output, name), video, tuple(people), movies=True, hosts=hosts))
    return shows


def shows_of_tracks(
    output: str, count: int, tracks: Iterable[StoredTrack], sources: Sequence[str], hosts: tuple[str, ...] = ()
) -> list[Show]:
    """A show for each of the first `count` tracks whose video exists and may be named from their folder."""
    exists: dict[str, bool] = {}
    shows: list[Show] = []
    for track in tracks if count else ():
        if track.video not in exists:
            exists[track.video] = _exists(track.video, sources, hosts)
        if exists[track.video] and track.frames:
            name = export_name(track.video, track.person, track.track_id)
            shows.append(Show(storage.join(output, "pages", name), track.video, (track,), movies=False, hosts=hosts))
        if len(shows) == count:
            break
    return shows


@dataclass(frozen=True)
class Rendered:
    """The parts of a show that MLflow gets.

    Attributes:
        page: The page.
        picture: Its middle frame as a PNG; None if that frame is damaged.
    """

    page: str
    picture: bytes | None


def render(
    show: Show,
    tracks: Sequence[TrackInfo],
    levelled: bool,
    on_frame: Callable[[], None],
    stature_m: float | None = None,
) -> Rendered:
    """Write the page, and the movies if the show has any.

    Args:
        show: The show.
        tracks: All tracks, those of the people included.
        levelled: Whether the space is turned so that people stand upright.
        on_frame: Called for each frame that is drawn.
        stature_m: Standing height that people were scaled to; None: as tall as the lifter takes them to be.

    Raises:
        UserError: The video cannot be read, or is not that of the tracks.
        RunFailed: The output cannot be written.
    """
    try:
        people = tuple(_people(show, tracks))
        video = fetch_video(show.video, CACHE_BYTES, show.hosts)
        scene = Scene(show.video.rpartition("/")[2], people, video, levelled, stature_m)
        page, picture = pose_page(scene, on_frame=on_frame), None
        with suppress(VideoError):
            picture = render_png(scene)
        if show.movies:
            for suffix, movie in ((".mp4", render_mp4), (".gif", render_gif)):
                with _placed(f"{show.name}{suffix}") as path:
                    movie(path, scene, on_frame=on_frame)
    except (UserError, RunFailed):
        raise
    except Exception as error:  # whatever error a hostile video causes, only its page is missing
        raise UserError(f"{show.video}: cannot be shown: {reason_of(error)}") from error
    page = redact(page)
    storage.write_bytes(show.files[0], page.encode())
    return Rendered(page, picture)


def _people(show: Show, tracks: Sequence[TrackInfo]) -> Iterator[Person]:
    known = {(name_of(track.file), track.track_id): track for track in tracks}
    for track in show.people:
        (keypoints,) = read_rows([known[track.source, track.track_id]], labels=False)
        (lifted,) = read_lifted(track.file, [track.row])
        # Others may write into the output too, so this prevents publishing a video that does not belong to the tracks.
        if keypoints.video != show.video:
            raise UserError(f"{show.video}: is not the video of track {track.track_id}; remove {track.file}")
        yield Person(keypoints, lifted)


@contextmanager
def _placed(uri: str) -> Iterator[Path]:
    """A local path to write a file to, which is then copied to the URI; the file there is complete or absent."""
    fs, path = storage.filesystem(uri)
    if storage.is_local(uri):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, path.rpartition("/")[2])
        yield local
        fs.put_file(str(local), path)


def _exists(video: str, sources: Sequence[str], hosts: tuple[str, ...]) -> bool:
    try:
        for source in sources:
            require_nameable(video, source)
        return exists(video, hosts)
    except (UserError, OSError):
        return False
