import torch

from pipelines.detectors.topdown.decode import decode
from pipelines.detectors.topdown.flips import flip_test, mirrored
from schemas.layouts import layout

COCO = layout("coco17")


def test_mirroring_maps_twice_changes_nothing():
    maps = torch.rand(2, 17, 64, 48)
    assert torch.equal(mirrored(mirrored(maps, COCO), COCO), maps)


def test_swaps_sides():
    maps = torch.zeros(1, 17, 4, 6)
    maps[0, COCO.index("left_wrist"), 1, 0] = 1
    back = mirrored(maps, COCO)
    assert back[0, COCO.index("right_wrist"), 1, 5] == 1
    assert back.sum() == 1


def test_shift_moves_all_but_the_first_column():
    maps = torch.rand(1, 17, 4, 6)
    plain, shifted = mirrored(maps, COCO), mirrored(maps, COCO, shift=True)
    assert torch.equal(shifted[..., 1:], plain[..., :-1])
    assert torch.equal(shifted[..., 0], plain[..., 0])


def test_shift_undoes_what_strides_do():
    """A net whose map pixel i looks at crop pixel 4i sees, in the mirrored crop, what lies one map pixel further."""

    def net(crops: torch.Tensor) -> torch.Tensor:
        return crops[:, :1, ::4, ::4].expand(-1, 17, -1, -1)

    x = torch.arange(192.0)
    crops = torch.exp(-((x - 99) ** 2) / (2 * 8**2)).expand(1, 3, 256, 192)
    place, _ = decode(net(crops), "dark")
    averaged, _ = decode(flip_test(net, crops, COCO, shift=True), "dark")
    unshifted, _ = decode(flip_test(net, crops, COCO, shift=False), "dark")
    assert (averaged - place)[..., 0].abs().max() < (unshifted - place)[..., 0].abs().max()
    # Of 3/4 pixel between the two, a quarter is left: the half pixel of the published trick's average.
    assert (averaged - place)[..., 0].abs().max() < 0.15
