"""Films of many containers and codecs, and what is wrong with some of them, made on the spot."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from video_samples import _MS, _UNEVEN_S, SOUND, Make, _x264, remux

_FRAMES = 48
_MPEG2: Mapping[str, Any] = {"codec": "mpeg2video", "gop_size": 12, "options": {"bf": "2"}}
_MPEG1: Mapping[str, Any] = {**_MPEG2, "codec": "mpeg1video"}
_MPEG4: Mapping[str, Any] = {**_MPEG2, "codec": "mpeg4"}
_H264: Mapping[str, Any] = {"gop_size": 24}
_H264_IN_ORDER: Mapping[str, Any] = {"gop_size": 24, "options": {"bf": "0"}}
_HEVC: Mapping[str, Any] = {"codec": "libx265", "gop_size": 24, "options": {"x265-params": "log-level=0"}}
# With alternate reference frames, which are never shown.
_VP8: Mapping[str, Any] = {
    **{"codec": "libvpx", "gop_size": 24},
    "options": {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"},
}
_VP9: Mapping[str, Any] = {**_VP8, "codec": "libvpx-vp9"}
_AV1: Mapping[str, Any] = {"codec": "libsvtav1", "gop_size": 24, "options": {"preset": "12"}}
_CODECS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "h264": (_H264, "mp4 mov mkv ts m2ts avi flv mpg 3gp m4v mxf asf"),
    "h264 in order": (_H264_IN_ORDER, "mp4 ts avi mpg mxf asf"),
    "mpeg2": (_MPEG2, "mp4 mov mkv ts avi mpg vob mxf asf"),
    "mpeg4": (_MPEG4, "mp4 mov mkv ts avi mpg asf"),
    "mpeg1": (_MPEG1, "mpg mkv"),
    "hevc": (_HEVC, "mp4 mov mkv ts"),
    "vp8": (_VP8, "webm mkv ogg ivf"),
    "vp9": (_VP9, "webm mkv mp4 ivf"),
    "av1": (_AV1, "webm mp4 ivf"),
    "mjpeg": ({"codec": "mjpeg", "pixel_format": "yuvj420p"}, "avi mov mkv"),
    "prores": ({"codec": "prores_ks", "pixel_format": "yuv422p10le"}, "mov"),
    "ffv1": ({"codec": "ffv1"}, "mkv avi"),
    "png": ({"codec": "png", "pixel_format": "rgb24"}, "mov"),
    "raw": ({"codec": "rawvideo"}, "avi"),
    "gif": ({"codec": "gif", "pixel_format": "rgb8"}, "gif"),
    "flv1": ({"codec": "flv", "gop_size": 12}, "flv"),
    "wmv2": ({"codec": "wmv2", "gop_size": 12}, "wmv"),
    "msmpeg4": ({"codec": "msmpeg4", "gop_size": 12}, "avi"),
}


def _film(codec: str, suffix: str) -> Callable[[Make], Path]:
    options, _ = _CODECS[codec]
    return lambda make: make(f"{codec.replace(' ', '_')}_film.{suffix}", _FRAMES, **options)


def joined(codec: str, suffix: str, times: int = 2) -> Callable[[Make], Path]:
    """A recording, and the same again behind it in one file."""

    def make_it(make: Make) -> Path:
        one = _film(codec, suffix)(make)
        path = one.with_name(f"{times}_times_{one.name}")
        path.write_bytes(one.read_bytes() * times)
        return path

    return make_it


def _with_times_of_decoding(make: Make) -> Path:
    """An mp4 as copies from AVI are: frames are reordered, and their times are those of decoding."""

    def decoded(packet: Any, number: int) -> bool:
        packet.pts = packet.dts
        return True

    source = _film("h264", "mp4")(make)
    return remux(source, source.with_name("times_of_decoding.mp4"), decoded)


FILMS: dict[str, Callable[[Make], Path]] = {
    **{f"{codec} {suffix}": _film(codec, suffix) for codec, (_, all_) in _CODECS.items() for suffix in all_.split()},
    **{f"joined {codec} ts": joined(codec, "ts") for codec in ("h264", "h264 in order", "mpeg2", "hevc")},
    **{f"joined {codec} mpg": joined(codec, "mpg") for codec in ("mpeg1", "mpeg2", "h264 in order")},
    "joined h264 mkv": joined("h264", "mkv"),
    "joined three times": joined("h264", "ts", 3),
    "joined vp8 webm": joined("vp8", "webm"),
    "joined h264 avi": joined("h264", "avi"),
    "joined h264 mxf": joined("h264", "mxf"),
    "uneven mkv": lambda make: make("uneven.mkv", _FRAMES, _UNEVEN_S[:_FRAMES], time_base=_MS, **_H264),
    "uneven webm": lambda make: make("uneven.webm", _FRAMES, _UNEVEN_S[:_FRAMES], time_base=_MS, **_VP8),
    "times of decoding mp4": _with_times_of_decoding,
    "open groups ts": lambda make: make("open_film.ts", _FRAMES, **_x264("open-gop=1")),
    **{name: SOUND[name] for name in ("h264_edit_list", "h264_fragmented", "h264_interlaced", "h264_ts_from_mid_gop")},
}
"""Every frame of these is read, as often as a decoder that knows nothing of times returns one."""

APPENDED: dict[str, Callable[[Make], Path]] = {
    f"{codec} {suffix}": joined(codec, suffix)
    for codec, suffix in (("h264", "mp4"), ("hevc", "mov"), ("flv1", "flv"), ("wmv2", "wmv"))
}
"""The readers of these containers stop after the first of two recordings, FFmpeg's own programs too."""
