"""Opens a video file and finds its first video stream that is not a cover picture."""

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


def open_video(path: str | Path, threads: int = 1) -> tuple[InputContainer, VideoStream]:
    """Open a file and find its video stream.

    Raises:
        VideoError: The file cannot be read, is no video, or has a codec without a decoder.
    """
    try:
        # Absolute: in a relative name FFmpeg would read the part before a colon as a protocol.
        container = av.open(str(Path(path).absolute()), metadata_errors="replace")
    except FFmpegError as error:
        raise VideoError(_why_not_opened(Path(path), error)) from error
    streams = video_streams(container)
    if not streams:
        others = sorted({stream.type for stream in container.streams} - {"video"})
        container.close()
        raise VideoError("no video stream" + (f", only {' and '.join(others)}" if others else ""))
    stream = streams[0]
    if stream.codec_context is None:
        container.close()
        raise VideoError("no decoder here knows the codec of the video stream")
    stream.codec_context.thread_count = threads
    return container, stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that are not cover pictures."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def whole_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The packets of a stream in decoding order, as far as the file can be read."""
    try:
        for packet in container.demux(stream):
            # PyAV ends every stream with an empty packet, which would flush the decoder.
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
