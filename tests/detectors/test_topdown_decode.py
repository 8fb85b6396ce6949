import math

import cv2
import numpy as np
import pytest
import torch

from pipelines.detectors.topdown.crops import crop_boxes, crop_matrices, cut, heatmap_to_crop, invert, move
from pipelines.detectors.topdown.decode import Decoding, decode, peaks

WH, MAP_WH = (192, 256), (48, 64)


def gaussians(places: torch.Tensor, sigma: float = 2.0, wh: tuple[int, int] = MAP_WH) -> torch.Tensor:
    """Maps (people, joints, height, width) of Gaussians on places (people, joints, 2)."""
    x, y = torch.arange(wh[0], dtype=torch.float64), torch.arange(wh[1], dtype=torch.float64)
    across = (x - places[..., 0, None]).square()[..., None, :]
    down = (y - places[..., 1, None]).square()[..., :, None]
    return torch.exp(-(across + down) / (2 * sigma * sigma))


def test_agrees_with_reference():
    """Numbers of the official HRNet code, quarter offset, back in the frame."""
    centres = torch.tensor([[[10.3, 20.7], [1.0, 1.0], [47.0, 63.0], [30.8, 5.2]]], dtype=torch.float64)
    points, scores = decode(gaussians(centres))
    areas = crop_boxes(torch.tensor([[281.0, 45, 500, 392]], dtype=torch.float64), WH)
    matrices = crop_matrices(areas.centres, areas.sizes, None, WH)
    frame = move(heatmap_to_crop(points, WH, MAP_WH), invert(matrices))
    expected = [[297.3115234375, 142.2548828125], [234.62109375, 8.40234375], [546.37890625, 428.59765625]]
    torch.testing.assert_close(
        frame[0], torch.tensor([*expected, [436.2470703125, 37.2060546875]]).double(), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(scores[0], torch.tensor([0.9777512550354004, 1, 1, 0.9900498390197754]).double())


@pytest.mark.parametrize(("decoding", "error_px"), [("quarter", 0.2501), ("dark", 0.05), ("udp", 0.05)])
@pytest.mark.parametrize("sigma", [2, 3])
def test_finds_gaussians_between_pixels(decoding: Decoding, error_px, sigma):
    places = 8 + 30 * torch.rand(4, 17, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points, scores = decode(gaussians(places, sigma), decoding, kernel={2: 11, 3: 17}[sigma])
    assert (points - places).abs().max() < error_px
    assert scores.min() > 0.9


def test_dark_agrees_with_its_definition():
    """On noisy maps: smooth the whole map, take logarithms, one Newton step from the peak."""
    rng = np.random.default_rng(1)
    maps = gaussians(torch.tensor(rng.uniform(-1, 49, (3, 5, 2)))) + torch.tensor(rng.uniform(0, 0.2, (3, 5, 64, 48)))
    points, _ = decode(maps, "dark")
    whole, _ = peaks(maps)
    for person, joint in np.ndindex(3, 5):
        padded = np.pad(maps[person, joint].numpy(), 5)
        f = np.log(np.maximum(cv2.GaussianBlur(padded, (11, 11), 0)[5:-5, 5:-5], 1e-10))
        x, y = (int(v) for v in whole[person, joint])
        expected = np.array([x, y], float)
        if 1 < x < 46 and 1 < y < 62:
            g = 0.5 * np.array([f[y, x + 1] - f[y, x - 1], f[y + 1, x] - f[y - 1, x]])
            xx, yy = f[y, x + 2] - 2 * f[y, x] + f[y, x - 2], f[y + 2, x] - 2 * f[y, x] + f[y - 2, x]
            xy = f[y + 1, x + 1] - f[y - 1, x + 1] - f[y + 1, x - 1] + f[y - 1, x - 1]
            expected -= np.linalg.solve(0.25 * np.array([[xx, xy], [xy, yy]]), g)
        np.testing.assert_allclose(points[person, joint], expected, atol=1e-6)


def test_udp_agrees_with_its_definition():
    rng = np.random.default_rng(2)
    maps = gaussians(torch.tensor(rng.uniform(-1, 49, (3, 5, 2)))) + torch.tensor(rng.uniform(0, 0.2, (3, 5, 64, 48)))
    maps[0, 0, 0, 0], maps[0, 1, 63, 47], maps[0, 2, 30, 0] = 2, 2, 2
    points, _ = decode(maps, "udp")
    whole, _ = peaks(maps)
    for person, joint in np.ndindex(3, 5):
        blurred = cv2.GaussianBlur(maps[person, joint].numpy(), (11, 11), 0)
        f = np.pad(np.log(np.clip(blurred, 1e-3, 50)), 1, mode="edge")
        x, y = (int(v) for v in whole[person, joint])
        at = f[y : y + 3, x : x + 3]
        g = 0.5 * np.array([at[1, 2] - at[1, 0], at[2, 1] - at[0, 1]])
        xx, yy = at[1, 2] - 2 * at[1, 1] + at[1, 0], at[2, 1] - 2 * at[1, 1] + at[0, 1]
        xy = 0.5 * (at[2, 2] - at[1, 2] - at[2, 1] + 2 * at[1, 1] - at[1, 0] - at[0, 1] + at[0, 0])
        hessian = np.array([[xx, xy], [xy, yy]]) + np.finfo(np.float32).eps * np.eye(2)
        np.testing.assert_allclose(points[person, joint], np.array([x, y]) - np.linalg.solve(hessian, g), atol=1e-6)


@pytest.mark.parametrize("decoding", ["quarter", "dark", "udp"])
def test_empty_and_broken_maps_have_no_peak(decoding: Decoding):
    maps = gaussians(torch.full((1, 4, 2), 20.0))
    maps[0, 0] = 0
    maps[0, 1] = -1
    maps[0, 2, 5, 5] = math.nan
    points, scores = decode(maps, decoding)
    assert points[0, :3].tolist() == [[0, 0]] * 3
    assert (scores[0, :3] <= 0).all()
    assert points[0, 3].tolist() == pytest.approx([20, 20], abs=1e-6)


def test_quarter_stays_on_the_border():
    """The outermost two pixels are not refined, as in the published code."""
    edges = torch.tensor([[[1.4, 20.0], [46.6, 20.0], [20.0, 1.4], [20.0, 62.6]]])
    points, _ = decode(gaussians(edges))
    assert points[0].tolist() == [[1, 20], [47, 20], [20, 1], [20, 63]]


def test_no_maps_give_no_points():
    points, scores = decode(torch.zeros(0, 17, 64, 48), "dark")
    assert points.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


@pytest.mark.parametrize(("decoding", "udp"), [("quarter", False), ("dark", False), ("udp", True)])
def test_dots_drawn_in_a_frame_are_decoded_to_their_pixels(decoding: Decoding, udp):
    """From a frame with dots through a crop, its brightness as the heatmap, back to the dots."""
    x, y = np.meshgrid(np.arange(400), np.arange(300))
    dots = np.array([[150.3, 140.6], [210.0, 180.2], [180.9, 200.5]])
    frame = np.zeros((300, 400, 3), np.uint8)
    for channel, (cx, cy) in enumerate(dots):
        frame[..., channel] = np.round(255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 6**2)))
    areas = crop_boxes(torch.tensor([[120.0, 100, 240, 240]]), MAP_WH)
    matrices = crop_matrices(areas.centres, areas.sizes, torch.tensor([25.0]), MAP_WH, udp)
    crops = cut(torch.from_numpy(frame)[None], torch.tensor([0]), matrices, MAP_WH)
    maps = crops - crops.amin((2, 3), keepdim=True)
    points, _ = decode(maps, decoding)
    back = move(points, invert(matrices))[0]
    frame_px_per_map_px = float(areas.sizes[0, 0]) / MAP_WH[0]
    assert (back - torch.from_numpy(dots)).norm(dim=1).max() < (
        0.5 if decoding == "quarter" else 0.1
    ) * frame_px_per_map_px
