"""Properties of a packet that its container does not give and that are read from its bytes."""

from collections.abc import Iterator

# In H.264 (ITU-T H.264, table 7-1), NAL unit types 1 to 5 are slices, and 5 is a slice of an IDR picture.
H264_SLICES = range(1, 6)
H264_IDR = 5
# In VP8 (RFC 6386, section 9.1), this bit of the first byte is show_frame.
VP8_SHOW_FRAME = 0x10


def is_hidden(codec: str, packet: bytes | memoryview) -> bool:
    """Whether a packet is decoded but never shown: an alternate reference frame of VP8.

    The other codecs that have such frames (VP9, AV1) send them in one packet with a frame that is shown.
    """
    return codec == "vp8" and len(packet) > 0 and not packet[0] & VP8_SHOW_FRAME


def resets_decoder(codec: str, extradata: bytes | None, packet: bytes) -> bool:
    """Whether this keyframe is known to end all dependence on the packets before it.

    The container may also flag packets as keyframes from which decoding only recovers: an I-frame of an open group of
    pictures, or the start of an intra refresh. False for every codec but H.264, where it can be read from the packet.
    """
    if codec != "h264":
        return False
    kinds = [kind for kind in _h264_nal_types(extradata or b"", packet) if kind in H264_SLICES]
    return bool(kinds) and all(kind == H264_IDR for kind in kinds)


def _h264_nal_types(extradata: bytes, packet: bytes) -> Iterator[int]:
    # An avcC box starts with its version, 1; its fifth byte holds the size of the length fields, less one.
    # Anything else (ISO/IEC 14496-10 annex B) separates its units by start codes.
    if extradata[:1] != b"\x01":
        yield from (unit[0] & 0x1F for unit in packet.split(b"\x00\x00\x01")[1:] if unit)
        return
    length_bytes = (extradata[4] & 3) + 1
    start = 0
    while start + length_bytes < len(packet):
        yield packet[start + length_bytes] & 0x1F
        start += length_bytes + int.from_bytes(packet[start : start + length_bytes], "big")
