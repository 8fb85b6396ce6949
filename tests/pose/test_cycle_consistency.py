"""The losses are those of the published implementation: values and gradients of `golden_tcc.json`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.pose.cycle_consistency import cycle_loss, similarities

GOLDEN = Path(__file__).parents[2].parent / "shared" / "reference" / "golden_tcc.json"


def cases():
    if not GOLDEN.exists():
        return []
    return [(case, loss) for case in json.loads(GOLDEN.read_text())["cases"] for loss in case["losses"]]


def embeddings_of(case):
    if not isinstance(case["embeddings"], str):
        return torch.tensor(case["embeddings"], dtype=torch.float64)
    videos, frames, channels = case["shape"]
    video, frame, channel = np.meshgrid(*(np.arange(size) for size in case["shape"]), indexing="ij")
    noise = np.sin(12.9898 * np.arange(videos * frames * channels) + 78.233) * 43758.5453
    noise = (noise - np.floor(noise)).reshape(case["shape"]) - 0.5
    values = 0.5 * (np.sin(2 * (frame / frames) * (channel + 1) + 0.3 * video) + 0.4 * noise)
    return torch.from_numpy(values.astype(np.float32).astype(np.float64))


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/reference/golden_tcc.json")
@pytest.mark.parametrize(
    ("case", "golden"),
    cases(),
    ids=lambda value: "-".join(str(value.get(key, "")) for key in ("name", "loss", "similarity", "normalize_indices")),
)
def test_losses_and_gradients_are_the_published_ones(case, golden):
    embeddings = embeddings_of(case).requires_grad_()
    times = torch.tensor(case["steps"], dtype=torch.float64)
    if golden.get("normalize_indices", True):
        times = times / torch.tensor(case["seq_lens"], dtype=torch.float64)[:, None]
    value = cycle_loss(embeddings, times, golden["loss"], "dot" if golden["similarity"] == "cosine" else "l2")
    value.backward()
    gradient = embeddings.grad
    assert gradient is not None
    assert value.item() == pytest.approx(golden["value"], rel=1e-5)
    # The published gradient is of single precision: its smallest entries are known to 1e-5 of the largest ones.
    tolerance = 1e-5 * golden["grad_l2_norm"]
    assert gradient[0, 0, 0].item() == pytest.approx(golden["grad_0_0_0"], rel=1e-5, abs=tolerance)
    assert gradient[-1, -1, -1].item() == pytest.approx(golden["grad_last"], rel=1e-5, abs=tolerance)
    assert gradient.norm().item() == pytest.approx(golden["grad_l2_norm"], rel=1e-5)


def test_a_frame_that_is_found_for_certain_has_a_finite_loss_and_gradient():
    line = torch.arange(10.0)[:, None].repeat(2, 1, 4).requires_grad_()
    with torch.no_grad():
        line.mul_(100)
    value = cycle_loss(line, torch.linspace(0, 1, 10).expand(2, -1))
    value.backward()
    assert line.grad is not None
    assert torch.isfinite(line.grad).all()


def test_similar_frames_have_the_largest_similarity():
    frames = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    assert similarities(frames, frames, "l2").argmax(-1).tolist() == [list(range(6))]
