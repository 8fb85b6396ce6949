import struct
import zlib

import cv2
import numpy as np
import pytest

from pipelines.annotations.images import ImageError, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)


def encoded(suffix, pixels):
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def write(folder, data):
    (folder / "image").write_bytes(data)
    return str(folder / "image")


def test_colours_are_rgb(tmp_path):
    assert (read_image(write(tmp_path, encoded(".png", PIXELS[..., ::-1]))) == PIXELS).all()


@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS[..., 0],
        np.concatenate([PIXELS[..., :1]] * 3 + [PIXELS[..., 1:2]], -1),
        PIXELS[..., 0].astype(np.uint16) * 257,
    ],
    ids=["grey", "transparent", "16 bits"],
)
def test_images_in_other_modes_become_rgb(pixels, tmp_path):
    image = read_image(write(tmp_path, encoded(".png", pixels)))
    assert image.dtype == np.uint8
    assert (image == PIXELS[..., :1]).all()


def turned_by_exif():
    """A picture of 12 × 8 px, and the same with the note that it has to be turned by a quarter, to 8 × 12 px."""
    plain = encoded(".jpg", PIXELS)
    # TIFF, little-endian, one entry: orientation (0x112) = 6, turned by a quarter.
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\x00\x00" + tiff
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    return plain, turned


def test_orientation_in_exif_is_not_applied_to_pictures_that_were_labeled_as_stored(tmp_path):
    plain, turned = turned_by_exif()
    for size_wh in (None, (12, 8)):
        assert (read_image(write(tmp_path, turned), size_wh) == read_image(write(tmp_path, plain))).all()


def test_a_picture_that_was_labeled_upright_is_turned(tmp_path):
    plain, turned = turned_by_exif()
    stored = read_image(write(tmp_path, plain))
    assert (read_image(write(tmp_path, turned), (8, 12)) == np.rot90(stored, -1)).all()


def test_a_picture_of_another_size_than_labeled_is_an_error(tmp_path):
    with pytest.raises(ImageError, match=r"is 12 × 8 px, the annotations say 24 × 16"):
        read_image(write(tmp_path, turned_by_exif()[0]), (24, 16))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"<html>not found</html>", "cannot be decoded"),
        (encoded(".jpg", np.tile(PIXELS, (20, 20, 1)))[:3000], "cannot be decoded"),
        (encoded(".png", np.tile(PIXELS, (20, 20, 1)))[:500], "cannot be decoded"),
    ],
)
def test_what_is_no_image_says_so(data, message, tmp_path):
    with pytest.raises(ImageError, match=message):
        read_image(write(tmp_path, data))


def test_a_missing_image_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="there is no such file"):
        read_image(str(tmp_path / "missing.jpg"))
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(str(tmp_path))


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_001, 10_000), (2**31 - 1, 1)])
def test_a_size_that_would_fill_the_memory_is_refused_by_the_header(width, height, tmp_path):
    small = encoded(".png", PIXELS)
    header = b"IHDR" + struct.pack(">II", width, height) + small[24:29]
    claims = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(ImageError, match="claims"):
        read_image(write(tmp_path, claims))
