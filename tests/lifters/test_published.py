import pytest
import torch

from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import load_lifter, save_lifter
from pipelines.lifters.published import load_published
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

COCO, H36M = LAYOUTS["coco17"], LAYOUTS["h36m17"]
WIDTHS = (3, 3, 7)


@pytest.fixture
def write(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "published.bin")
        return str(tmp_path / "published.bin")

    return save


def refuse(uri, *parts, input_layout=COCO, output_layout=H36M):
    with pytest.raises(UserError) as error:
        load_published(uri, input_layout, output_layout)
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in (uri, *parts)), error.value


def test_both_lifters_and_what_the_shapes_tell(write, published):
    uri = write({"epoch": 80, "model_pos": published(WIDTHS, 8, 17), "model_traj": published(WIDTHS, 8, 1)})
    model, card = load_published(uri, COCO, H36M)
    assert card.config["filter_widths"] == list(WIDTHS)
    assert card.config["channels"] == 8
    assert (card.window.inputs, card.fps, card.trajectory) == (63, 50.0, True)
    assert (card.input_layout, card.output_layout) == ("coco17", "h36m17")
    assert model(torch.randn(1, 63, 17, 2))[1].shape == (1, 1, 1, 3)


def test_no_trajectory_said_or_unsaid(write, published):
    weights = published(WIDTHS, 8, 17)
    predictions = []
    for content in ({"model_pos": weights, "model_traj": None}, {"model_pos": weights}, weights):
        model, card = load_published(write(content), COCO, H36M)
        assert model.trajectory is None
        assert not card.trajectory
        predictions.append(model(torch.ones(1, 63, 17, 2))[0])
    assert torch.equal(predictions[0], predictions[1])
    assert torch.equal(predictions[0], predictions[2])


def test_three_features_are_scores(write, published):
    model, card = load_published(write(published((3, 3), 8, 17, features=51)), COCO, H36M)
    assert model.pose.input_features == 3
    assert card.config["scores"]


def test_saved_again_as_ours(write, published, tmp_path):
    model, card = load_published(write({"model_pos": published(WIDTHS, 8, 17)}), COCO, H36M, causal=True)
    save_lifter(str(tmp_path / "ours.pt"), model, card)
    ours, _ = load_lifter(str(tmp_path / "ours.pt"))
    inputs = torch.randn(2, 70, 17, 2)
    assert torch.equal(ours(inputs)[0], model(inputs)[0])
    assert ours.pose.window.offset == ours.pose.window.inputs - 1


def test_refusals(write, published, tmp_path):
    refuse(str(tmp_path / "nothing.bin"), "cannot be read")
    refuse(write({"head.weight": torch.zeros(3)}), "another architecture", "expand_conv.weight", "head.weight")
    refuse(write({"model_pos": None}), "another architecture", "found nothing")
    weights = published(WIDTHS, 8, 17)
    refuse(write(weights), "reads 34 numbers per frame, blazepose33 has 66", input_layout=LAYOUTS["blazepose33"])
    refuse(write(weights), "shrink.weight 48×8×1, found 51×8×1", output_layout=LAYOUTS["mpii16"])
    del weights["layers_bn.2.bias"]
    refuse(write(weights), "expected layers_bn.2.bias 8, found nothing")
    refuse(
        write({"model_pos": published(WIDTHS, 8, 17), "model_traj": published((3, 3), 8, 1)}), "layers_conv.2.weight"
    )


def test_the_job_writes_what_evaluate_takes(write, published, tmp_path, capsys):
    uri = write({"model_pos": published(WIDTHS, 8, 17), "model_traj": None})
    output = tmp_path / "ours.pt"
    assert run_job("import_lifter", [f"model={uri}", "input_layout=coco17", f"output={output}"]) == 0
    assert "temporal_conv of 63 frames at 50 frames/s, coco17 → h36m17, without a trajectory" in capsys.readouterr().out
    assert load_lifter(str(output))[1].lineage == {"published": uri}
    assert run_job("import_lifter", [f"model={uri}", "input_layout=coc017", f"output={output}"]) == 2
    assert "unknown joint layout 'coc017'" in capsys.readouterr().err


def test_even_filters_are_refused(write, published):
    refuse(write(published((3, 4), 8, 17)), "filter widths are odd")
