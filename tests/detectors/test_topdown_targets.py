import torch

from pipelines.detectors.topdown.decode import decode
from pipelines.detectors.topdown.targets import gaussian_targets

WH = (48, 64)


def test_agrees_with_reference():
    """Numbers of the official HRNet code for three joints of a 192 x 256 crop: inside, half outside, at the corner."""
    points = torch.tensor([[[100.3, 57.9], [-5.0, 10.0], [191.0, 255.0]]]) / 4
    maps, weights = gaussian_targets(points, torch.ones(1, 3), WH, sigma=2.0)
    assert weights.tolist() == [[1, 1, 1]]
    places = maps.flatten(2).argmax(2)[0]
    assert [(int(p) // 48, int(p) % 48) for p in places] == [(14, 25), (3, 0), (63, 47)]
    torch.testing.assert_close(maps.sum((2, 3))[0], torch.tensor([25.081287384, 14.472789764, 4.016261101]))
    torch.testing.assert_close(maps.amax((2, 3))[0], torch.tensor([1.0, 1.0, 0.7788007259]))


def test_outside_and_unknown_joints_do_not_count():
    points = torch.tensor([[[-9.0, 10.0], [10.0, 71.0], [torch.nan, 3.0], [10.0, 10.0], [10.0, 10.0]]])
    maps, weights = gaussian_targets(points, torch.tensor([[1.0, 1, 1, 0, 0.5]]), WH, sigma=2.0)
    assert weights.tolist() == [[0, 0, 0, 0, 0.5]]
    assert maps[0, :4].abs().max() == 0
    assert maps[0, 4].max() == 1


def test_gaussians_between_pixels_are_decoded_to_their_place():
    points = 10 + 25 * torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(0))
    for sigma, kernel in ((2.0, 11), (3.0, 17)):
        maps, _ = gaussian_targets(points, torch.ones(2, 17), WH, sigma, rounded=False)
        decoded, _ = decode(maps, "dark", kernel)
        assert (decoded - points).abs().max() < 0.05


def test_rounded_gaussians_are_whole():
    maps, _ = gaussian_targets(torch.tensor([[[20.4, 30.6]]]), torch.ones(1, 1), WH, sigma=2.0)
    assert int((maps > 0).sum()) == 13 * 13
    assert maps[0, 0, 31, 20] == 1
