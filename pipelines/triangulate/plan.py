"""Finds the tracks that are views of one session: videos whose names differ only by their camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.calibration.camera import Camera
from pipelines.calibration.video_names import camera_of_video, without_camera
from pipelines.io import storage
from pipelines.io.file_names import file_name
from pipelines.io.shards import digest
from pipelines.tracks.keypoint_reader import TrackInfo, by_file, survey
from schemas.errors import UserError
from schemas.job_config import listed

SESSION = "{session}"


@dataclass(frozen=True)
class Session:
    """Views of one scene.

    Attributes:
        name: What its files are called.
        tracks: The tracks of each view, by the name of its camera.
    """

    name: str
    tracks: Mapping[str, Sequence[TrackInfo]]

    @property
    def data(self) -> str:
        """A hash of its tracks."""
        return digest(sorted((camera, track.track_id) for camera, of in self.tracks.items() for track in of))


def sessions_of(tracks: str | Sequence[str], cameras: Sequence[Camera]) -> list[Session]:
    """The sessions of some tracks, by name.

    Args:
        tracks: Where the tracks are.
        cameras: The cameras, if all sessions have the same; their names are looked for in those of the videos.

    Raises:
        UserError: There are no tracks, or no two tracks are views of one session.
    """
    names = {camera.name for camera in cameras}
    sessions: dict[tuple[str, str], dict[str, list[TrackInfo]]] = {}
    for video, track in _with_videos(survey(tracks)):
        camera = camera_of_video(video, track.camera, names)
        key = (video.rstrip("/").rpartition("/")[0], without_camera(video, camera))
        sessions.setdefault(key, {}).setdefault(camera, []).append(track)
    if not any(len(views) > 1 for views in sessions.values()):
        videos = ", ".join(sorted("/".join(filter(None, key)) for key in sessions)[:3])
        known = f"the calibration has {', '.join(sorted(names))}; " if names else ""
        raise UserError(
            f"tracks={', '.join(listed(tracks))}: no two videos are views of one session ({videos}); {known}"
            "name videos by their cameras, or give the column camera in the manifest of label"
        )
    called = [file_name(key[1] or key[0].rpartition("/")[2] or "session") for key in sessions]
    return [
        Session(name if called.count(name) == 1 else f"{name}-{digest(key)[:8]}", views)
        for name, (key, views) in zip(called, sessions.items(), strict=True)
    ]


def _with_videos(tracks: Sequence[TrackInfo]) -> list[tuple[str, TrackInfo]]:
    videos_and_tracks = []
    for file, file_tracks in by_file(tracks).items():
        videos = storage.read_table(file, ["video"])["video"].to_pylist()
        videos_and_tracks += [(videos[track.row], track) for track in file_tracks]
    return videos_and_tracks
