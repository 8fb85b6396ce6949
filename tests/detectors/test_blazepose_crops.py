import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.detectors.blazepose import crops

coordinate = st.floats(-2000, 2000)
size = st.floats(1, 4000)
angle = st.floats(-np.pi, np.pi)


def direction(radians: float) -> np.ndarray:
    return np.array([np.sin(radians), -np.cos(radians)])


@given(coordinate, coordinate, size, angle)
def test_inverse_undoes_the_map(x: float, y: float, width: float, radians: float) -> None:
    affine = crops.upright(np.array([x, y]), direction(radians), width, 256)
    points = np.array([[0.0, 0.0], [256.0, 12.5], [-40.0, 300.0]])
    there_and_back = crops.move(crops.move(points, crops.inverse(affine)), affine)
    np.testing.assert_allclose(there_and_back, points, atol=1e-5)


@given(coordinate, coordinate, size, angle)
def test_upright_puts_up_on_top(x: float, y: float, width: float, radians: float) -> None:
    centre, up = np.array([x, y]), direction(radians)
    affine = crops.upright(centre, up, width, 256)
    np.testing.assert_allclose(crops.move(centre, affine), [128, 128], atol=1e-6)
    np.testing.assert_allclose(crops.move(centre + up * width / 2, affine), [128, 0], atol=1e-6)
    # No mirroring: what is a quarter turn clockwise of up lies on the right.
    right = np.array([-up[1], up[0]])
    np.testing.assert_allclose(crops.move(centre + right * width / 2, affine), [256, 128], atol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1, 1), (4000, 20)])
def test_letterbox_fits_whole_region_centred(width: int, height: int) -> None:
    affine = crops.letterbox((0.0, 0.0, float(width), float(height)), 224)
    corners = crops.move(np.array([[0.0, 0.0], [width, height]]), affine)
    assert (corners[1] - corners[0]).max() == pytest.approx(224)
    np.testing.assert_allclose(corners.sum(0), [224, 224])
    assert affine[0, 0] == affine[1, 1]


def test_warp_agrees_with_move() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[20:30, 50:60] = 255
    affine = crops.upright(np.array([40.0, 30.0]), direction(0.6), 70.0, 256)
    crop = crops.warp(frame, affine, 256)[..., 0].astype(float)
    rows, columns = np.mgrid[:256, :256] + 0.5
    centre = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    np.testing.assert_allclose(centre, crops.move(np.array([55.0, 25.0]), affine), atol=0.2)


def test_warp_is_black_beyond_the_frame() -> None:
    crop = crops.warp(np.full((10, 20, 3), 255, np.uint8), crops.letterbox((0.0, 0.0, 20.0, 10.0), 40), 40)
    assert crop[:9].max() == 0
    assert crop[11:29, 1:39].min() == 255
    assert crop[31:].max() == 0
