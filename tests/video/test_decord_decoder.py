"""decord is let near a video only where its frames are exactly PyAV's."""

import numpy as np
import pytest
from video_samples import DAMAGED, SOUND, Make, sequential

from pipelines.video import decord_decoder
from pipelines.video.decord_decoder import DecordDecoder, why_not_decord
from pipelines.video.errors import DecoderFault
from pipelines.video.probe import probe

pytestmark = pytest.mark.skipif(
    decord_decoder.find_spec("decord") is None, reason="decord is not installed on this machine"
)

TRUSTED = [
    "h264_gop250_bframes",
    "h264_mkv",
    "h264_flv",
    "h264_fragmented",
    "h264_variable_rate",
    "h264_late_start",
    "h264_full_range",
]


@pytest.mark.parametrize("case", TRUSTED)
def test_frames_of_decord_are_exact_where_it_is_used(make_video: Make, case: str) -> None:
    path = SOUND[case](make_video)
    info = probe(path)
    assert why_not_decord(info) is None
    expected = [image for _, image in sequential(path)]
    decoder = DecordDecoder(path, info, info.width, info.height, threads=1)
    for start in [0, 40, 80, *np.random.default_rng(2).integers(0, info.frame_count - 40, 8).tolist()]:
        for index, image in decoder.read(start, start + 40):
            np.testing.assert_array_equal(image, expected[index], err_msg=f"frame {index}")
    decoder.close()


@pytest.mark.parametrize("case", [case for case in SOUND if case not in TRUSTED])
def test_decord_is_not_used_for_other_videos(make_video: Make, case: str) -> None:
    assert why_not_decord(probe(SOUND[case](make_video)))


def test_decord_is_not_used_for_rotated_videos(make_video: Make) -> None:
    assert why_not_decord(probe(make_video("turned.mp4", 20, rotation_deg=90))) == "rotated for display"


@pytest.mark.parametrize("case", ["middle", "keyframe", "long_gop"])
def test_damage_is_a_fault_not_wrong_frames(make_video: Make, case: str) -> None:
    path = DAMAGED[case](make_video)
    info = probe(path)
    decoder = DecordDecoder(path, info, info.width, info.height, threads=1)
    with pytest.raises(DecoderFault, match="damage"):
        list(decoder.read(0, info.frame_count))
    decoder.close()


def test_another_number_of_frames_is_a_fault(make_video: Make) -> None:
    info = probe(make_video("long.mp4", 300))
    with pytest.raises(DecoderFault, match="120 frames, not 300"):
        DecordDecoder(make_video("short.mp4", gop_size=24), info, 80, 48, threads=1)
