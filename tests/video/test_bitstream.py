"""What a packet's bytes say, on packets written out by hand."""

from collections.abc import Callable

import pytest

from pipelines.video.bitstream import is_hidden, resets_decoder

# Version 1, profile, level, then 0xff: length fields of four bytes.
AVCC = b"\x01\x64\x00\x1f\xff\xe1"
IDR, I_SLICE, SEI = b"\x65\x88", b"\x41\x9a", b"\x06\x05"


def units(*nal_units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in nal_units)


def start_codes(*nal_units: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units)


@pytest.mark.parametrize(
    ("extradata", "pack"), [(AVCC, units), (None, start_codes), (b"\x00\x00\x01\x67", start_codes)]
)
def test_an_idr_resets_and_a_recovery_point_does_not(extradata: bytes | None, pack: Callable[..., bytes]) -> None:
    assert resets_decoder("h264", extradata, pack(SEI, IDR, IDR))
    assert not resets_decoder("h264", extradata, pack(SEI, I_SLICE))
    assert not resets_decoder("h264", extradata, pack(SEI))


def test_other_codecs_are_not_known_to_reset() -> None:
    assert not resets_decoder("hevc", AVCC, units(IDR))


def test_vp8_hides_frames_by_a_bit() -> None:
    assert is_hidden("vp8", b"\x00\x01")
    assert not is_hidden("vp8", b"\x10\x01")
    assert not is_hidden("h264", b"\x00\x01")
    assert not is_hidden("vp8", b"")
