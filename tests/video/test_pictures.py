"""Numbered pictures are one video: through the same reader and process as a film, each number at its time."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.lift.exports import stem
from pipelines.video.errors import VideoError
from pipelines.video.isolated import IsolatedReader
from pipelines.video.numbered import NumberedPictures
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


def write(folder, number, colour=100, size_wh=(40, 20), name="{:05d}.png"):
    pixels = np.full((size_wh[1], size_wh[0], 3), colour, np.uint8)
    assert cv2.imwrite(str(folder / name.format(number)), pixels)


def address(folder, pattern="%05d.png", fps="25"):
    return f"{folder}/{pattern}#fps={fps}"


def test_pictures_come_out_in_the_order_of_their_numbers_at_the_rate(tmp_path):
    for number in range(8, 12):
        write(tmp_path, number, colour=10 * number, name="walk{}.png")
    with IsolatedReader(60.0) as reader:
        path = Path(address(tmp_path, "walk%d.png", "29.97"))
        info = reader.probe(path)
        frames = reader.read(path, 1, 4, 20)
    assert (info.width, info.height, info.fps, info.damage, info.note) == (40, 20, 29.97, None, None)
    np.testing.assert_allclose(info.timestamps_s, np.arange(4) / 29.97, rtol=1e-6)
    assert frames.images.shape == (3, 10, 20, 3)
    assert frames.images[:, 5, 5, 0].tolist() == [90, 100, 110]
    assert frames.decoder == "opencv"


def test_a_number_that_is_missing_is_a_gap_in_time_and_told(tmp_path):
    for number in (1, 2, 5, 6, 7):
        write(tmp_path, number)
    info = probe(address(tmp_path))
    assert info.timestamps_s.tolist() == [0, 0.04, 0.16, 0.2, 0.24]
    assert info.damage == "2 pictures missing between numbers 1 and 7"
    assert info.fps == 25


def test_every_tenth_number_is_a_picture_each(tmp_path):
    for number in range(0, 50, 10):
        write(tmp_path, number)
    info = probe(address(tmp_path, fps="5"))
    assert info.timestamps_s.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert (info.damage, info.note) == (None, "numbers in steps of 10")


def test_a_picture_of_another_size_keeps_its_shape_and_is_told(tmp_path):
    write(tmp_path, 0)
    write(tmp_path, 1, size_wh=(20, 20))
    write(tmp_path, 2, size_wh=(80, 40))
    with VideoReader(address(tmp_path)) as reader:
        frames = reader.read(0, 3)
    assert frames.images[1, 10, [5, 15, 25, 35], 0].tolist() == [0, 100, 100, 0]
    assert (frames.images[2] == 100).all()
    assert frames.damage == "1 frames of another shape, shown whole with bars beside them: 1"


def test_a_picture_that_cannot_be_read_is_one_damaged_frame(tmp_path):
    for number in range(3):
        write(tmp_path, number)
    (tmp_path / "00001.png").write_bytes(b"no picture")
    with VideoReader(address(tmp_path)) as reader:
        frames = reader.read(0, 3)
    assert frames.indices.tolist() == [0, 2]
    assert frames.damage == "1 of 3 frames damaged: 1"


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path):
    (tmp_path / "0.ppm").write_bytes(b"P6 60000 60000 255\n")
    with pytest.raises(VideoError, match=r"no picture can be read; 0.ppm: claims"):
        probe(address(tmp_path, "%d.ppm"))


def test_pictures_are_called_by_their_folder():
    pictures = NumberedPictures.of_address("/films/walk/left_%05d.jpg#fps=25")
    assert pictures is not None
    assert pictures.name == "walk-left"
    assert stem("/films/walk/%05d.jpg#fps=29.97") == "walk"


def test_no_pictures_at_all_is_one_line(tmp_path):
    with pytest.raises(VideoError, match="no picture of these numbers is there"):
        probe(address(tmp_path))
