"""Frames by index are exactly PyAV's sequential frames, whatever the codec, the container and the order of reads."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from video_samples import DAMAGED, HEIGHT, SOUND, WIDTH, Make, number_of, picture, sequential

from pipelines.video import decord_decoder, pyav_decoder, reader
from pipelines.video.encode import VideoWriter
from pipelines.video.errors import VideoError
from pipelines.video.probe import probe
from pipelines.video.reader import Frames, VideoReader

needs_decord = pytest.mark.skipif(
    decord_decoder.find_spec("decord") is None, reason="decord is not installed on this machine"
)


def truth(path: Path) -> dict[int, np.ndarray]:
    """Frame index -> RGB, by sequential decode."""
    info = probe(path)
    if info.index.counted:
        return dict(enumerate(image for _, image in sequential(path)))
    index_of = {pts: index for index, pts in enumerate(info.index.pts.tolist())}
    return {index_of[pts]: image for pts, image in sequential(path)}


def guessed(path: Path, expected: dict[int, np.ndarray]) -> set[int]:
    """Frames that lack a reference, up to the next keyframe: what the decoder puts there depends on its history."""
    info = probe(path)
    frames: set[int] = set()
    for lost in set(range(info.frame_count)) - set(expected):
        later = info.index.keyframes[info.index.keyframes > lost]
        # x264 makes up to three B-frames, which are shown before what they refer to.
        frames |= set(range(lost - 3, int(later[0]) if len(later) else info.frame_count))
    return frames


def assert_exact(
    frames: Frames, start: int, stop: int, expected: dict[int, np.ndarray], but: set[int] | None = None
) -> None:
    wanted = [index for index in range(start, stop) if index in expected]
    assert frames.indices.tolist() == wanted
    for index, image in zip(wanted, frames.images, strict=True):
        if index not in (but or set()):
            np.testing.assert_array_equal(image, expected[index], err_msg=f"frame {index}")
    lost = stop - start - len(wanted)
    assert (frames.damage or "").startswith(f"{lost} of {stop - start} frames damaged" if lost else "")


def random_ranges(frame_count: int) -> list[tuple[int, int]]:
    starts = np.random.default_rng(1).integers(0, frame_count, 12)
    return [(int(start), min(int(start) + 7, frame_count)) for start in starts]


@pytest.mark.parametrize("case", [*SOUND, *DAMAGED])
def test_random_ranges_are_exact(make_video: Make, case: str) -> None:
    path = (SOUND | DAMAGED)[case](make_video)
    expected = truth(path)
    with VideoReader(path) as video:
        for start, stop in random_ranges(video.info.frame_count):
            frames = video.read(start, stop)
            assert_exact(frames, start, stop, expected, but=guessed(path, expected))
            np.testing.assert_array_equal(frames.timestamps_s, video.info.timestamps_s[frames.indices])


@pytest.mark.parametrize("case", [*SOUND, *DAMAGED])
def test_clips_in_sequence_are_exact(make_video: Make, case: str) -> None:
    path = (SOUND | DAMAGED)[case](make_video)
    expected = truth(path)
    with VideoReader(path) as video:
        for start in range(0, video.info.frame_count, 45):
            stop = min(start + 45, video.info.frame_count)
            assert_exact(video.read(start, stop), start, stop, expected)


@pytest.mark.parametrize("case", SOUND)
def test_every_frame_of_a_sound_video_is_there(make_video: Make, case: str) -> None:
    path = SOUND[case](make_video)
    with VideoReader(path) as video:
        frames = video.read(0, video.info.frame_count)
    assert frames.damage is None
    assert len(frames.images) == video.info.frame_count == len(sequential(path))


def test_the_frames_are_the_ones_that_were_written(make_video: Make) -> None:
    with VideoReader(make_video("long.mp4", 300)) as video:
        assert [number_of(image) for image in video.read(240, 260).images] == list(range(240, 260))


@pytest.fixture
def decoded_packets(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Fills with every packet that PyAV is given while the test runs (None flushes)."""
    packets: list[object] = []
    decode = pyav_decoder.decode_or_skip

    def counting(stream: VideoStream, packet: Packet | None) -> list[VideoFrame] | None:
        packets.append(packet)
        return decode(stream, packet)

    monkeypatch.setattr(pyav_decoder, "decode_or_skip", counting)
    return packets


def test_clips_in_sequence_decode_each_packet_once(make_video: Make, decoded_packets: list[object]) -> None:
    with VideoReader(make_video("long.mp4", 300)) as video:
        for start in range(0, 300, 45):
            video.read(start, min(start + 45, 300))
    assert len([packet for packet in decoded_packets if packet is not None]) == 300


def test_a_jump_ahead_starts_from_a_keyframe(make_video: Make, decoded_packets: list[object]) -> None:
    with VideoReader(make_video("short.mp4", gop_size=24)) as video:
        video.read(0, 5)
        video.read(100, 105)
    # 5 and 9 frames, and what B-frames hold back.
    assert len(decoded_packets) < 30


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("decord", marks=needs_decord)])
@pytest.mark.parametrize(
    ("max_side", "size"), [(80, (48, 80)), (50, (30, 50)), (160, (96, 160)), (4000, (96, 160)), (None, (96, 160))]
)
def test_longer_side_is_at_most_max_side(
    make_video: Make, decoder: Literal["pyav", "decord"], max_side: int | None, size: tuple[int, int]
) -> None:
    with VideoReader(make_video("short.mp4", gop_size=24), max_side, decoder) as video:
        frames = video.read(10, 14)
    assert frames.images.shape == (4, *size, 3)
    rows, columns = (np.arange(side) * full // side for side, full in zip(size, (HEIGHT, WIDTH), strict=True))
    expected = picture(10)[rows][:, columns].astype(int)
    assert np.abs(frames.images[0] - expected).mean() < 30


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("max_side", [None, 80])
def test_images_are_upright(make_video: Make, rotation_deg: int, mirrored: bool, max_side: int | None) -> None:
    turned = make_video(f"turned_{rotation_deg}_{mirrored}.mp4", 20, rotation_deg=rotation_deg, mirrored=mirrored)
    with (
        VideoReader(turned, max_side, "pyav") as video,
        VideoReader(make_video("plain.mp4", 20), max_side, "pyav") as plain,
    ):
        image, stored = video.read(7, 8).images[0], plain.read(7, 8).images[0]
        assert (video.info.rotation_deg, video.info.mirrored) == (rotation_deg, mirrored)
        assert image.shape[:2] == video.info.size_within(max_side)[::-1]
    np.testing.assert_array_equal(image, np.rot90(stored[:, ::-1] if mirrored else stored, rotation_deg // 90))


def test_damage_names_the_frames(make_video: Make) -> None:
    path = DAMAGED["long_gop"](make_video)
    with VideoReader(path) as video:
        frames = video.read(90, 135)
    lost = sorted(set(range(90, 135)) - set(frames.indices.tolist()))
    assert frames.damage is not None
    assert frames.damage.startswith(f"{len(lost)} of 45 frames damaged: {lost[0]}")


@pytest.mark.parametrize(
    ("missing", "words"), [({28, 31}, "28, 31"), ({5, 6, 7, 9}, "5-7, 9"), (set(range(45)), "0-44")]
)
def test_missing_frames_in_words(missing: set[int], words: str) -> None:
    assert reader._named(missing) == words


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (100, 121)])
def test_a_range_outside_the_video_is_refused(make_video: Make, start: int, stop: int) -> None:
    with VideoReader(make_video("short.mp4", gop_size=24)) as video, pytest.raises(IndexError, match="of 120"):
        video.read(start, stop)


@needs_decord
def test_auto_takes_decord_for_scaled_reads_of_short_gops_only(make_video: Make) -> None:
    short, long = make_video("short.mp4", gop_size=24), make_video("long.mp4", 300)
    choices = [(short, 80, "decord"), (short, None, "pyav"), (long, 80, "pyav")]
    for path, max_side, expected in choices:
        with VideoReader(path, max_side) as video:
            assert video.read(0, 5).decoder == expected


@needs_decord
def test_auto_falls_to_pyav_for_good_when_decord_meets_damage(make_video: Make) -> None:
    path = DAMAGED["middle"](make_video)
    with VideoReader(path, 80) as video, VideoReader(path, 80, "pyav") as by_pyav:
        reads = [(video.read(start, start + 20), by_pyav.read(start, start + 20)) for start in range(0, 120, 20)]
    # decord decodes ahead, so it may meet the damage of later frames as early as in the first read.
    decoders = [frames.decoder for frames, _ in reads]
    assert decoders == sorted(decoders)
    assert decoders[2:] == ["pyav"] * 4
    assert all(frames.indices.tolist() == expected.indices.tolist() for frames, expected in reads)


def test_without_decord_auto_is_pyav_and_decord_is_refused(make_video: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decord_decoder, "find_spec", lambda _: None)
    path = make_video("short.mp4", gop_size=24)
    with VideoReader(path, 80) as video:
        assert video.read(0, 5).decoder == "pyav"
    with pytest.raises(VideoError, match=r"x86-64 only.*decoder=auto"):
        VideoReader(path, decoder="decord")


def test_joined_recordings_give_the_same_picture_for_an_index_however_it_is_reached(make_video: Make) -> None:
    first, second = make_video("first.ts", 60, gop_size=24), make_video("second.ts", 100, gop_size=24)
    path = first.with_name("joined_for_reading.ts")
    path.write_bytes(first.read_bytes() + second.read_bytes())
    numbers = [*range(60), *range(100)]
    with VideoReader(path) as video:
        whole = video.read(0, video.info.frame_count)
        assert [number_of(image) for image in whole.images] == numbers
        for start, stop in ((100, 107), (57, 63), (150, 160), (0, 5), (60, 61)):
            assert [number_of(image) for image in video.read(start, stop).images] == numbers[start:stop]


def test_where_the_size_changes_the_shape_is_kept_in_the_pixels_of_the_first(tmp_path: Path) -> None:
    for name, width, height in (("wide.ts", 160, 96), ("high.ts", 96, 160), ("large.ts", 320, 192)):
        with VideoWriter(tmp_path / name, width, height, 30, gop_size=10) as video:
            for _ in range(20):
                video.write(np.full((height, width, 3), 200, np.uint8))
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("wide.ts", "high.ts", "large.ts")))
    with VideoReader(path, 80) as video:
        whole = video.read(0, 60)
        again = video.read(25, 30)
    wide, high, large = (whole.images[number] > 100 for number in (10, 30, 50))
    assert whole.images.shape == (60, 48, 80, 3)
    assert wide.all()
    assert large.all()
    assert high[:, 26:54].all()
    assert not high[:, :25].any()
    assert not high[:, 55:].any()
    assert (again.images == whole.images[25:30]).all()
    assert whole.damage == "20 frames of another shape, shown whole with bars beside them: 20-39"
    assert again.damage == "5 frames of another shape, shown whole with bars beside them: 25-29"
