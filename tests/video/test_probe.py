"""What the probe says of a video, without decoding it, is what decoding it finds; and why it refuses a file."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from video_samples import DAMAGED, SOUND, Make, overwrite, remux, sequential, truncate

from pipelines.video.errors import VideoError
from pipelines.video.probe import probe


@pytest.mark.parametrize("case", SOUND)
def test_timestamps_are_those_of_the_decoded_frames(make_video: Make, case: str) -> None:
    path = SOUND[case](make_video)
    info = probe(path)
    if info.index.counted:
        # AVI has one tick a frame and no presentation times.
        np.testing.assert_allclose(info.timestamps_s, np.arange(120) / 30)
        return
    expected = [pts * float(info.index.time_base) for pts, _ in sequential(path)]
    np.testing.assert_allclose(info.timestamps_s, expected, atol=1e-9)


def test_what_a_plain_video_is(make_video: Make) -> None:
    info = probe(make_video("long.mp4", 300))
    assert (info.width, info.height, info.rotation_deg, info.mirrored) == (160, 96, 0, False)
    assert (info.codec, info.pixel_format, info.interlaced) == ("h264", "yuv420p", False)
    assert info.container.startswith("mov,mp4")
    assert (info.frame_count, info.declared_frame_count, info.damage) == (300, 300, None)
    assert (info.fps, info.duration_s) == (pytest.approx(30), pytest.approx(10))
    assert info.index.keyframes.tolist() == [0, 250]
    assert info.index.longest_gop == 250
    assert info.index.keyframes_reset


def test_one_frame_has_the_declared_rate(make_video: Make) -> None:
    info = probe(make_video("one.mp4", 1))
    assert (info.frame_count, info.fps, info.duration_s) == (1, 30, pytest.approx(1 / 30))


def test_average_rate_of_a_variable_one(make_video: Make) -> None:
    info = probe(SOUND["h264_variable_rate"](make_video))
    assert info.fps == pytest.approx(119 / (info.timestamps_s[-1] - info.timestamps_s[0]))
    assert np.ptp(np.diff(info.timestamps_s)) > 0.05


def test_a_first_timestamp_above_zero_is_kept(make_video: Make) -> None:
    info = probe(SOUND["h264_late_start"](make_video))
    assert info.timestamps_s[0] == pytest.approx(2)
    assert info.duration_s == pytest.approx(4)


def test_an_edit_list_hides_frames(make_video: Make) -> None:
    info = probe(SOUND["h264_edit_list"](make_video))
    assert (info.frame_count, info.index.hidden_packets, info.damage) == (260, 40, None)
    assert info.timestamps_s[0] == 0


def test_an_edit_list_is_not_damage(make_video: Make) -> None:
    info = probe(SOUND["hevc_edit_list"](make_video))
    assert (info.frame_count, info.declared_frame_count, info.damage) == (80, 120, None)


def test_pixels_are_made_square(make_video: Make) -> None:
    wide = make_video("anamorphic.mp4", 5, options={"x264-params": "sar=4/3"})
    nearly_square = make_video("rounded.mp4", 5, options={"x264-params": "sar=7953/7956"})
    assert (probe(wide).width, probe(wide).height) == (213, 96)
    assert (probe(nearly_square).width, probe(nearly_square).height) == (160, 96)


def test_a_hidden_vp8_frame_is_no_frame(make_video: Make, tmp_path: Path) -> None:
    def hide_the_tenth(packet: Any, number: int) -> bool:
        if number == 10:
            content = bytearray(bytes(packet))
            content[0] &= ~0x10  # show_frame
            packet.update(bytes(content))
        return True

    source = make_video("vp8.webm", 30, codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"})
    path = remux(source, tmp_path / "hidden.webm", hide_the_tenth)
    info = probe(path)
    assert (info.frame_count, info.index.hidden_packets) == (29, 1)
    assert [pts for pts, _ in sequential(path)] == info.index.pts.tolist()


def test_truncation_is_reported(make_video: Make) -> None:
    info = probe(DAMAGED["truncated"](make_video))
    assert info.damage == f"truncated: {info.frame_count} of 120 frames are in the file"
    assert info.declared_frame_count == 120
    assert len(sequential(DAMAGED["truncated"](make_video))) == info.frame_count


def test_truncation_of_matroska_is_reported_in_seconds(make_video: Make) -> None:
    damage = probe(DAMAGED["truncated_mkv"](make_video)).damage
    assert damage is not None
    assert damage.startswith("truncated: 2.")
    assert damage.endswith("of 4.0 s are in the file")


def audio(path: Path, cover: bool = False) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
        if picture:
            container.mux([*picture.encode(av.VideoFrame(64, 64, "yuvj420p")), *picture.encode(None)])


NO_VIDEOS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "audio.mp4": (lambda path, _: audio(path), "no video stream, only audio"),
    "audio_with_cover.mp4": (lambda path, _: audio(path, cover=True), "no video stream, only audio"),
    "empty.mp4": (lambda path, _: path.touch(), r"the file is empty \(0 bytes\)"),
    "text.mp4": (lambda path, _: path.write_text("no video\n"), "not a video: no container format recognised"),
    "missing.mp4": (lambda path, _: None, "the file cannot be read: No such file or directory"),
    "no_index.mp4": (lambda path, video: truncate(video, path, 0.8), r"incomplete mp4: its index \(moov\)"),
}


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_why_a_file_is_no_video(make_video: Make, tmp_path: Path, name: str) -> None:
    make, reason = NO_VIDEOS[name]
    make(tmp_path / name, make_video("long.mp4", 300))
    with pytest.raises(VideoError, match=reason):
        probe(tmp_path / name)


def test_a_colon_in_a_relative_name(make_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("take:1.mp4").symlink_to(make_video("one.mp4", 1))
    assert probe("take:1.mp4").frame_count == 1


def test_a_raw_stream_has_no_timestamps(make_video: Make) -> None:
    with pytest.raises(VideoError, match=r"h264 stream carries no timestamps.*ffmpeg -i"):
        probe(make_video("raw.h264", 30))


def test_a_video_of_which_nothing_decodes(make_video: Make, tmp_path: Path) -> None:
    broken = overwrite(make_video("short.mp4", gop_size=24), tmp_path / "broken.mp4", 0, 120)
    with pytest.raises(VideoError, match=r"no frame of the video can be decoded \(120 packets read\)"):
        probe(broken)


def joined(make_video: Make, name: str = "joined.ts") -> Path:
    """Two recordings one after the other in a file; the clock of the second starts where that of the first did."""
    first, second = make_video("first.ts", 60, gop_size=24), make_video("second.ts", 100, gop_size=24)
    path = first.with_name(name)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def test_recordings_that_were_joined_have_every_frame_and_a_clock_that_goes_forward(make_video: Make) -> None:
    info = probe(joined(make_video))
    assert info.frame_count == 160
    assert (np.diff(info.timestamps_s) > 0).all()
    assert info.fps == pytest.approx(30, rel=0.01)
    assert info.note == "recordings were joined: the clock starts again at frame 60"


def test_equal_times_are_spread(make_video: Make, tmp_path: Path) -> None:
    def like_the_one_before(packet: Any, number: int) -> bool:
        if number == 30:
            packet.pts, packet.dts = packet.pts - packet.duration, packet.dts - packet.duration
        return True

    source = make_video("no_b.mkv", 60, gop_size=24, options={"bf": "0"})
    info = probe(remux(source, tmp_path / "equal.mkv", like_the_one_before))
    assert (info.frame_count, info.note) == (60, "frames with equal times were spread")
    assert (np.diff(info.timestamps_s) > 0).all()


def test_a_clock_that_jumps_does_not_change_the_rate(make_video: Make, tmp_path: Path) -> None:
    def hours_later(packet: Any, number: int) -> bool:
        if number >= 60:
            packet.pts, packet.dts = packet.pts + 36_000 * 90_000, packet.dts + 36_000 * 90_000
        return True

    source = make_video("no_b.ts", 100, gop_size=20, options={"bf": "0"})
    info = probe(remux(source, tmp_path / "jump.ts", hours_later))
    assert (info.frame_count, info.fps) == (100, pytest.approx(30))
    assert info.note == "the clock jumps by 36,000 s at frame 60"
    assert np.diff(info.timestamps_s).max() > 35_000


def test_a_recording_that_goes_on_hours_later_is_not_called_damaged(make_video: Make, tmp_path: Path) -> None:
    def hours_later(packet: Any, number: int) -> bool:
        packet.pts, packet.dts = packet.pts + 36_000 * 90_000, packet.dts + 36_000 * 90_000
        return True

    first = make_video("no_b.ts", 100, gop_size=20, options={"bf": "0"})
    later = remux(first, tmp_path / "later.ts", hours_later)
    # The counters of the second one's packets do not go on, which MPEG-TS calls damage.
    (tmp_path / "joined.ts").write_bytes(first.read_bytes() + later.read_bytes())
    info = probe(tmp_path / "joined.ts")
    assert (info.frame_count, info.damage) == (200, None)
    assert info.note == "the clock jumps by 35,997 s at frame 100"


def two_streams(make_video: Make, path: Path, default: int) -> Path:
    """A small picture and a large one, of which one is called the default."""
    small, large = make_video("small.mp4", 5), make_video("long.mp4", 300)
    with av.open(str(small)) as first, av.open(str(large)) as second, av.open(str(path), "w") as writing:
        copies = [writing.add_stream_from_template(source.streams.video[0]) for source in (first, second)]
        for number, copy in enumerate(copies):
            copy.disposition = Disposition.default if number == default else Disposition(0)
        for source, copy in zip((first, second), copies, strict=True):
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = copy
                    writing.mux(packet)
    return path


@pytest.mark.parametrize(("default", "frames"), [(0, 5), (1, 300)])
def test_of_several_streams_the_default_one_is_read_and_named(
    make_video: Make, tmp_path: Path, default: int, frames: int
) -> None:
    info = probe(two_streams(make_video, tmp_path / "two.mkv", default))
    assert (info.frame_count, info.index.video_streams) == (frames, 2)
    assert info.note == f"2 video streams: number {default} of 160x96 is read"


APPLE_FOCAL = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


@pytest.mark.parametrize(("stated", "focal"), [("26", 26.0), ("26.5 mm", 26.5), ("0", None), ("wide", None)])
def test_the_focal_length_that_a_phone_writes_into_its_film(
    make_video: Make, tmp_path: Path, stated: str, focal: float | None
) -> None:
    path = tmp_path / "phone.mov"
    with (
        av.open(str(make_video("long.mp4", 300))) as reading,
        av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as writing,
    ):
        writing.metadata[APPLE_FOCAL] = stated
        copy = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.size:
                packet.stream = copy
                writing.mux(packet)
    assert probe(path).focal_35mm == focal
