"""Opens a video file and chooses its video stream."""

import stat
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipelines.video.errors import VideoError

# FFmpeg's names of the containers that are opened. Its other formats include playlists, which name files to read, and
# text files, which it shows as films. Raw H.264 and HEVC are opened so that the message can say how to wrap them.
CONTAINERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "gif", "ivf", "h264", "hevc")
# With these options FFmpeg refuses other formats before it reads them, and anything that a file refers to elsewhere.
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def open_video(path: str | Path, threads: int = 1) -> tuple[InputContainer, VideoStream]:
    """Open a file and find its video stream.

    Raises:
        VideoError: The file cannot be read, is not a video, or has a codec without a decoder.
    """
    # The path is made absolute, because FFmpeg would read the part of a relative name before a colon as a protocol.
    path = Path(path).absolute()
    _require_regular_file(path)
    try:
        container = av.open(str(path), container_options=_OPTIONS, metadata_errors="replace")
    except FFmpegError as error:
        raise VideoError(_why_not_opened(path, error)) from error
    streams = video_streams(container)
    if not streams:
        others = sorted({stream.type for stream in container.streams} - {"video"})
        container.close()
        raise VideoError("no video stream" + (f", only {' and '.join(others)}" if others else ""))
    stream = max(streams, key=_importance)
    if stream.codec_context is None:
        container.close()
        raise VideoError("no decoder here knows the codec of the video stream")
    stream.codec_context.thread_count = threads
    return container, stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that are not cover pictures, previews or stills."""
    return [s for s in container.streams.video if not s.disposition & _PICTURES]


def _importance(stream: VideoStream) -> tuple[bool, int, int]:
    """The stream that the file says is the default one, then the largest picture, then the first."""
    size = stream.codec_context.width * stream.codec_context.height if stream.codec_context else 0
    return bool(stream.disposition & Disposition.default), size, -stream.index


def whole_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The packets of a stream in decoding order, as far as the file can be read."""
    try:
        for packet in container.demux(stream):
            # PyAV ends every stream with an empty packet, which would flush the decoder, so it is dropped.
            if packet.size:
                yield packet
    except FFmpegError:
        return  # the rest is damaged: callers find out by counting the packets


def decode_or_skip(stream: VideoStream, packet: Packet | None) -> list[VideoFrame] | None:
    """The frames that a packet completes (None flushes), or None if the decoder refuses it."""
    try:
        return stream.decode(packet)
    except FFmpegError:
        return None


def _require_regular_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise VideoError(f"the file cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        # Opening a named pipe would wait for ever for a writer.
        raise VideoError("not a file: a folder, a named pipe or a device")


def _why_not_opened(path: Path, error: FFmpegError) -> str:
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror}"
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        return "the file is empty (0 bytes)"
    if head[4:8] == b"ftyp":
        return "incomplete mp4: its index (moov) is missing or damaged, as after a broken recording or download"
    return "not a video: no container format recognised"
