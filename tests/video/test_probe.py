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
