"""A lifted track as TRC, the markers of OpenSim and Pose2Sim.

Frames are numbered from 1, and time 0 is the first frame of the video (or of the track), so that the files of one video
share one clock.
"""

from pipelines.export.markers import markers_of
from pipelines.export.motion import motion_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.configs.export import TrcConfig

_HEADER = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)
_DECIMALS = {"mm": 3, "m": 6}


def trc_text(
    lifted: LiftedTrack, options: TrcConfig, video_start_s: float | None = None, fps: float | None = None
) -> str:
    """The content of the TRC file.

    Args:
        lifted: The track.
        options: What the file is like.
        video_start_s: When the video begins, s: times count from there. None: they count from the first frame of the
            track.
        fps: Frame rate; None: that of the track.
    """
    motion = motion_of(lifted, fps)
    markers = markers_of(motion, options.unit, options.up)
    first = motion.frames_before(video_start_s)
    rate, count = f"{1 / motion.frame_time_s:.6g}", len(markers.positions)
    columns = (f"{axis}{number}" for number in range(1, len(markers.names) + 1) for axis in "XYZ")
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", "markers.trc"],
        list(_HEADER),
        [rate, rate, str(count), str(len(markers.names)), options.unit, rate, str(first + 1), str(count)],
        ["Frame#", "Time", "\t\t\t".join(markers.names), "", ""],
        ["", "", *columns],
    ]
    digits = _DECIMALS[options.unit]
    for frame, row in enumerate(markers.positions.reshape(count, -1).tolist(), start=first):
        time_s = f"{frame * motion.frame_time_s:.6f}"
        lines.append([str(frame + 1), time_s, *(f"{value:.{digits}f}" for value in row)])
    return "\n".join("\t".join(line) for line in lines) + "\n"
