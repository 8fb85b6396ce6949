import cv2
import numpy as np
import pytest
import torch

from pipelines.detectors.topdown.crops import (
    DEVIATION,
    MEAN,
    _gather,
    crop_boxes,
    crop_matrices,
    crop_to_heatmap,
    cut,
    heatmap_to_crop,
    invert,
    move,
)

# Boxes (x, y, w, h), rotations and maps to crops of 192 x 256, of the official HRNet code.
GOLDEN = [
    ((281, 45, 219, 347), 0, [[0.5902017291066282, 0, -134.47377521613828], [0, 0.5902017291066283, -0.959077809798]]),
    ((36, 68, 30, 96), 0, [[2.1333333333333333, 0, -12.8], [0, 2.1333333333333333, -119.46666666666665]]),
    (
        (38, 111, 175, 175),
        30,
        [
            [0.760122874468198, 0.4388571528599332, -86.5085655884556],
            [-0.43885715285993, 0.760122874468198, 32.1921821],
        ],
    ),
    (
        (0, 44, 90, 220),
        -45,
        [
            [0.6582521267138188, -0.6582521267138189, 167.749481811806],
            [0.6582521267138189, 0.658252126713819, -2.99217],
        ],
    ),
]
# The maps back from heatmaps of 48 x 64.
BACK = [
    [[6.77734375, 0, 227.84375], [0, 6.77734375, 1.625]],
    [[1.875, 0, 6.0], [0, 1.875, 56.0]],
    [[3.9467302958, -2.2786458333, 103.6951395671], [2.2786458333, 3.9467302958, 17.5171305339]],
    [[3.0383494697, 3.0383494697, -125.1475702902], [-3.0383494697, 3.0383494697, 129.693204244]],
]
WH = (192, 256)


def golden_boxes() -> torch.Tensor:
    xywh = torch.tensor([box for box, _, _ in GOLDEN], dtype=torch.float64)
    return torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)


def golden_matrices() -> torch.Tensor:
    areas = crop_boxes(golden_boxes(), WH)
    rotations = torch.tensor([rotation for _, rotation, _ in GOLDEN], dtype=torch.float64)
    return crop_matrices(areas.centres, areas.sizes, rotations, WH)


def noise(frames: int, height: int, width: int) -> torch.Tensor:
    small = np.random.default_rng(0).integers(0, 256, (frames, height // 8, width // 8, 3)).astype(np.uint8)
    return torch.from_numpy(np.stack([cv2.resize(image, (width, height)) for image in small]))


def denormalised(crops: torch.Tensor) -> torch.Tensor:
    return (crops.permute(0, 2, 3, 1) * torch.tensor(DEVIATION) + torch.tensor(MEAN)) * 255


def test_matrices_agree_with_reference():
    expected = torch.tensor([matrix for _, _, matrix in GOLDEN], dtype=torch.float64)
    torch.testing.assert_close(golden_matrices(), expected, atol=1e-5, rtol=1e-6)


def test_heatmaps_go_back_as_in_reference():
    corners = torch.tensor([[[0, 0], [47, 0], [10.3, 60]]], dtype=torch.float64).expand(4, -1, -1)
    expected = move(corners, torch.tensor(BACK, dtype=torch.float64))
    back = move(heatmap_to_crop(corners, WH, (48, 64)), invert(golden_matrices()))
    torch.testing.assert_close(back, expected, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("udp", [False, True])
def test_points_return_from_the_crop(udp):
    areas = crop_boxes(golden_boxes(), WH)
    matrices = crop_matrices(areas.centres, areas.sizes, torch.tensor([0.0, 20, -80, 180]).double(), WH, udp)
    points = torch.rand(4, 17, 2, dtype=torch.float64) * 500
    on_maps = crop_to_heatmap(move(points, matrices), WH, (48, 64), udp)
    back = move(heatmap_to_crop(on_maps, WH, (48, 64), udp), invert(matrices))
    torch.testing.assert_close(back, points)


def test_udp_puts_corner_pixels_on_the_corners():
    areas = crop_boxes(torch.tensor([[100.0, 50, 160, 130]]), WH, padding=1.0)
    matrices = crop_matrices(areas.centres, areas.sizes, None, WH, udp=True)
    corners = torch.stack([areas.centres - areas.sizes / 2, areas.centres + areas.sizes / 2], 1)
    torch.testing.assert_close(move(corners, matrices), torch.tensor([[[0.0, 0], [191, 255]]]), atol=1e-4, rtol=0)


def test_box_keeps_its_middle_and_gets_the_aspect():
    areas = crop_boxes(torch.tensor([[10.0, 20, 110, 40], [10, 20, 20, 420], [7, 7, 7, 7]]), WH)
    assert areas.centres.tolist() == [[60, 30], [15, 220], [7, 7]]
    torch.testing.assert_close(areas.sizes[:, 0] / areas.sizes[:, 1], torch.full((3,), 0.75))
    torch.testing.assert_close(areas.sizes[:2], torch.tensor([[125.0, 125 / 0.75], [375, 500]]))
    assert (areas.sizes > 0).all()


@pytest.mark.parametrize("way", ["as chosen", "gathered"])
def test_crops_are_those_of_opencv(way):
    frames, index, matrices = noise(2, 400, 560), torch.tensor([1, 0, 0, 1]), golden_matrices()
    expected = np.stack(
        [cv2.warpAffine(frames[i].numpy(), m.numpy(), WH) for i, m in zip(index.tolist(), matrices, strict=True)]
    )
    if way == "gathered":
        crops = _gather(frames, index, invert(matrices.float()), WH)
    else:
        crops = denormalised(cut(frames, index, matrices, WH))
    # OpenCV reads at the nearest 32nd of a pixel.
    difference = (crops - torch.from_numpy(expected)).abs()
    assert difference.mean() < 0.3
    assert difference.max() < 10


def test_beyond_the_frame_is_black():
    frames = torch.full((1, 100, 100, 3), 255, dtype=torch.uint8)
    boxes = torch.tensor([[1000.0, 1000, 1100, 1100], [torch.nan, 0, 10, 10]])
    areas = crop_boxes(boxes, WH)
    matrices = crop_matrices(areas.centres, areas.sizes, None, WH)
    index = torch.tensor([0, 0])
    assert denormalised(cut(frames, index, matrices, WH)).abs().max() < 1e-4
    assert _gather(frames, index, invert(matrices), WH).abs().max() == 0


def test_memory_is_channels_last():
    crops = cut(noise(1, 80, 80), torch.tensor([0]), golden_matrices()[:1], WH)
    assert crops.shape == (1, 3, 256, 192)
    assert crops.is_contiguous(memory_format=torch.channels_last)


def test_no_boxes_give_no_crops():
    areas = crop_boxes(torch.zeros(0, 4), WH)
    matrices = crop_matrices(areas.centres, areas.sizes, None, WH)
    assert cut(noise(1, 80, 80), torch.zeros(0, dtype=torch.int64), matrices, WH).shape == (0, 3, 256, 192)
