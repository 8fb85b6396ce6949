import torch

from pipelines.pose.clusters import cell_centres, nearest_cell


def test_poses_that_lie_together_share_a_cell():
    heaps = torch.cat([torch.randn(50, 4) * 0.1 + place for place in (0.0, 5.0, 10.0)])
    cells = nearest_cell(heaps, cell_centres(heaps, 12, seed=0)).reshape(3, 50)
    assert not set(cells[0].tolist()) & set(cells[1].tolist())
    assert not set(cells[1].tolist()) & set(cells[2].tolist())


def test_there_are_no_more_cells_than_poses():
    assert len(cell_centres(torch.randn(5, 3), 600, seed=0)) == 5
