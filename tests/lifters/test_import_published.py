from typing import Any, cast

import numpy as np
import pytest
import torch
from lifters.golden_by_formula import read, weights_of

from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import load_lifter
from pipelines.lifters.import_published import import_published
from schemas.configs.import_lifter import ImportLifterConfig
from schemas.errors import UserError

MARTINEZ, DSTFORMER = read("martinez")["models"][0], read("dstformer")["models"][0]


@pytest.fixture
def config(tmp_path):
    """Writes a checkpoint, and says how to import it."""

    def make(content, **changes):
        torch.save(content, tmp_path / "published.bin")
        values = {"model": f"{tmp_path}/published.bin", "output": f"{tmp_path}/lifter.pt", "input_layout": "h36m17"}
        return ImportLifterConfig.model_validate(values | changes)

    return make


@pytest.fixture
def statistics(tmp_path):
    def make(**changes):
        arrays = {
            **{"mean_2d": np.full(32, 500.0), "std_2d": np.full(32, 100.0)},
            **{"mean_3d": np.full(48, 50.0), "std_3d": np.full(48, 200.0)},
        }
        np.savez(tmp_path / "statistics.npz", **cast(Any, arrays | changes))
        return str(tmp_path / "statistics.npz")

    return make


def test_a_residual_perceptron_with_its_statistics(config, statistics, conftest_fill):
    weights = weights_of(MARTINEZ["state_dict"], conftest_fill)
    content = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}}
    model, card = import_published(config(content, statistics=statistics()))
    assert (card.lifter, card.config["channels"], card.config["unread"]) == ("residual_mlp", 32, ["neck"])
    # 600 px of 1000 are one deviation from the mean, and 0.2 in screen units.
    pose, _ = model(torch.full((1, 1, 17, 2), 0.2))
    bare, _ = import_published(
        config(content, statistics=statistics(mean_2d=np.full(32, 500), std_2d=np.full(32, 500), std_3d=np.ones(48)))
    )
    raw, _ = bare(torch.ones(1, 1, 17, 2))
    torch.testing.assert_close((pose[0, 0, 1:] - 0.05) / 0.2, (raw[0, 0, 1:] - 0.05) / 0.001, atol=1e-4, rtol=1e-4)
    assert pose[0, 0, 0].tolist() == [0, 0, 0]


def test_statistics_that_do_not_fit_are_refused(config, statistics, conftest_fill):
    weights = weights_of(MARTINEZ["state_dict"], conftest_fill)
    with pytest.raises(UserError, match="statistics: is required for this checkpoint"):
        import_published(config(weights))
    with pytest.raises(UserError, match="mean_3d: must be 48 finite numbers, has 96"):
        import_published(config(weights, statistics=statistics(mean_3d=np.zeros(96))))
    with pytest.raises(UserError, match="std_3d: has a deviation of 0"):
        import_published(config(weights, statistics=statistics(std_3d=np.zeros(48))))
    with pytest.raises(UserError, match="reads 32 numbers per frame, limbs12 has 24"):
        import_published(config(weights, statistics=statistics(), input_layout="limbs12"))


def test_a_dstformer_by_the_job(config, conftest_fill, capsys):
    weights = weights_of(DSTFORMER["state_dict"], conftest_fill)
    import_config = config({"model_pos": {f"module.{name}": value for name, value in weights.items()}})
    fields = [f"model={import_config.model}", f"output={import_config.output}", "input_layout=h36m17"]
    # The small one has 4 heads; of published files 8 are assumed, which divide its channels too.
    assert run_job("import_lifter", fields) == 0
    assert "spacetime_transformer of 27 frames at 50 frames/s, h36m17" in capsys.readouterr().out
    model, card = load_lifter(import_config.output)
    assert (card.config["depth"], card.config["representation"], card.config["mlp_ratio"]) == (2, 64, 2)
    scaled, _ = import_published(import_config.model_copy(update={"unit_m": 2.0}))
    inputs = torch.rand(1, 27, 17, 3)
    torch.testing.assert_close(scaled(inputs)[0], 2 * model(inputs)[0])


def test_a_dstformer_of_other_joints_or_weights_is_refused(config, conftest_fill):
    weights = weights_of(DSTFORMER["state_dict"], conftest_fill)
    with pytest.raises(UserError, match="predicts the joints that it reads"):
        import_published(config(weights, input_layout="coco17"))
    del weights["blocks_ts.1.attn_t.qkv.bias"]
    with pytest.raises(UserError, match=r"expected blocks_ts\.1\.attn_t\.qkv\.bias 96, found nothing"):
        import_published(config(weights))


def test_a_dstformer_that_claims_a_large_network_is_refused_before_memory_is_taken_for_it(config):
    content = {
        "temp_embed": torch.zeros(1, 27, 1, 8),
        "pos_embed": torch.zeros(1, 17, 8),
        "joints_embed.weight": torch.zeros(400_000, 3),
        "blocks_st.0.mlp_s.fc1.weight": torch.zeros(800_000, 1),
    }
    with pytest.raises(UserError, match="weights of another architecture"):
        import_published(config(content))


def test_a_perceptron_that_claims_a_large_network_is_refused_before_memory_is_taken_for_it(config, statistics):
    content = {"w1.weight": torch.zeros(300_000, 34, dtype=torch.float16), "w2.weight": torch.zeros(48, 8)}
    with pytest.raises(UserError, match="weights of another architecture"):
        import_published(config(content, statistics=statistics()))


@pytest.mark.parametrize(
    "content",
    [
        {"temp_embed": torch.zeros(1, 27), "pos_embed": torch.zeros(1), "joints_embed.weight": torch.zeros(0, 3)}
        | {"blocks_st.0.mlp_s.fc1.weight": torch.zeros(8, 1)},
        {"temp_embed": torch.zeros(1), "pos_embed": torch.zeros(1), "joints_embed.weight": torch.zeros(3)}
        | {"blocks_st.0.mlp_s.fc1.weight": torch.zeros(8)},
        {"w1.weight": torch.zeros(0, 34), "w2.weight": torch.zeros(48, 0)},
        {"w1.weight": torch.zeros(8, 34), "w2.weight": 3, 5: "x"},
        {"model_pos": 3},
        {},
    ],
)
def test_shapes_that_no_network_has_are_one_line(config, statistics, content):
    with pytest.raises(UserError) as error:
        import_published(config(content, statistics=statistics()))
    assert "\n" not in str(error.value)
