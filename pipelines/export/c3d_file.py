"""A lifted track as C3D, the format of motion capture laboratories.

- Points are the joints. Their residual is 0, the format's mark of points that no camera measured.
- Analog channels, one sample a frame, say how far to trust them: the score of each joint (0 to 1), whether the person
  was observed, and the distance of projected joints from their keypoints, px.
- Frames are numbered from the first frame of the video (or of the track), so that files of one video share one clock.
"""

import io

import c3d
import numpy as np

from pipelines.export.markers import markers_of
from pipelines.export.motion import motion_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.configs.export import C3dConfig, UpAxis
from schemas.layouts import layout

# The axes that point right and up on a screen.
_SCREEN: dict[UpAxis, tuple[str, str]] = {"y": ("+X", "+Y"), "z": ("+X", "+Z")}


def c3d_bytes(
    lifted: LiftedTrack, options: C3dConfig, video_start_s: float | None = None, fps: float | None = None
) -> bytes:
    """The content of the C3D file.

    Args:
        lifted: The track.
        options: What the file is like.
        video_start_s: When the video begins, s: frames count from there. None: they count from the first frame of the
            track.
        fps: Frame rate; None: that of the track.
    """
    motion = motion_of(lifted, fps)
    markers = markers_of(motion, options.unit, options.up)
    rate = 1 / motion.frame_time_s
    writer = c3d.Writer(point_rate=rate, analog_rate=rate, point_units=options.unit.ljust(4))
    writer.set_point_labels(list(markers.names))
    writer.set_screen_axis(*_SCREEN[options.up])
    writer.set_start_frame(1 + motion.frames_before(video_start_s))
    channels = _channels(lifted)
    writer.set_analog_labels(list(channels))
    writer.set_analog_scales(np.ones(len(channels)))
    writer.set_analog_offsets(np.zeros(len(channels)))
    samples = np.stack([*channels.values()], axis=-1)[motion.nearest]
    # The columns after the position are residual and cameras. The library cannot build this array of frames by itself.
    frames = np.empty((len(samples), 2), object)
    for frame, position, sample in zip(frames, markers.positions, samples, strict=True):
        frame[0], frame[1] = np.pad(position, ((0, 0), (0, 2))).astype(np.float32), sample[:, None]
    writer.add_frames(frames)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def _channels(lifted: LiftedTrack) -> dict[str, np.ndarray]:
    """Values of each frame by their name."""
    channels: dict[str, np.ndarray] = {"observed": ~lifted.interpolated}
    if lifted.reprojection_px is not None:
        channels["reprojection_px"] = lifted.reprojection_px
    if lifted.joint_scores is not None:
        joints = layout(lifted.layout).joints
        channels |= {f"score {joint}": lifted.joint_scores[:, index] for index, joint in enumerate(joints)}
    return {name: values.astype(np.float32) for name, values in channels.items()}
