"""Person models of random weights, small ones of each family: what goes in and comes out is ours to get right."""

import json
import os

import numpy as np
import pytest
import torch
from small_transformers import small_detr

from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.persons.detr import DetrPersons
from pipelines.detectors.persons.whole_frame import WholeFrame
from schemas.errors import UserError


@pytest.fixture(scope="module", params=["RTDetr", "RTDetrV2", "DFine"])
def saved(request, tmp_path_factory):
    """(model, the folder that it lies in)"""
    model = small_detr(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return model, folder


def find(folder, frames, **options):
    config = PersonsConfig(weights=str(folder), **{"input_size": "128x160", **options})
    return DetrPersons(config, 1, "cpu")(torch.from_numpy(frames))


def noise(count=2, height=90, width=120):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def test_what_is_saved_is_found_again(saved):
    model, folder = saved
    frames = noise(1, 128, 160)  # of the input's size: nothing is scaled
    boxes, scores = find(folder, frames)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        outputs = model(pixel_values=pixels)
    expected = outputs.logits[0, :, 1].sigmoid().sort(descending=True, stable=True)
    torch.testing.assert_close(scores[0], expected.values)
    best = outputs.pred_boxes[0, expected.indices[0]]
    x, y, width, height = (best * torch.tensor([160, 128, 160, 128])).tolist()
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    assert boxes[0, 0].tolist() == pytest.approx(corners, abs=1e-3)


def test_frames_together_are_frames_alone(saved):
    frames = noise(3)
    together, scores = find(saved[1], frames, max_people=5)
    assert together.shape == (3, 10, 4)
    assert scores.shape == (3, 10)
    for frame, expected in zip(frames, scores, strict=True):
        torch.testing.assert_close(find(saved[1], frame[None], max_people=5)[1][0], expected, atol=1e-4, rtol=1e-4)


def test_frames_are_prepared_as_the_preprocessor_config_says(tmp_path):
    model = small_detr("RTDetr")
    model.save_pretrained(tmp_path)
    frames = noise(1, 64, 96)
    _, plain = find(tmp_path, frames, input_size="64x96")
    preprocessor = {
        "size": {"height": 64, "width": 96},
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    _, scores = find(tmp_path, frames, input_size=None)
    pixels = (torch.from_numpy(frames).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = model(pixel_values=pixels).logits[0, :, 1].sigmoid().sort(descending=True).values
    torch.testing.assert_close(scores[0], expected)
    assert not torch.allclose(scores, plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")
def test_a_gpu_scores_people_as_a_cpu_does(saved):
    config = PersonsConfig(weights=str(saved[1]), input_size="128x160")
    frames = noise(3)
    _, scores = DetrPersons(config, 1, "cuda")(torch.from_numpy(frames).to("cuda"))
    assert scores.device.type == "cuda"
    # The networks of persons compute in half precision there.
    torch.testing.assert_close(scores.float().cpu(), find(saved[1], frames)[1], atol=0.02, rtol=0)


def refuse(*parts, **options):
    with pytest.raises(UserError) as error:
        DetrPersons(PersonsConfig(**options), 1, "cpu")
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in ("detector.persons.weights=", *parts)), error.value


def test_wrong_weights_are_reported_in_a_line(saved, tmp_path):
    _, folder = saved
    refuse("there is no such folder; give one with", weights="/no/such/folder")
    (tmp_path / "empty").mkdir()
    refuse("lacks config.json", weights=str(tmp_path / "empty"))
    config = json.loads((folder / "config.json").read_text())
    broken = tmp_path / "broken"
    broken.mkdir()
    weights = (folder / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights)
    (broken / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    refuse("is a 'bert' model, expected d_fine or rt_detr or rt_detr_v2", weights=str(broken))
    (broken / "config.json").write_text("{")
    refuse("config.json is damaged", weights=str(broken))
    (broken / "config.json").write_text(json.dumps({**config, "id2label": {"0": "cat", "1": "dog", "2": "cow"}}))
    refuse("knows no class 'person' (but cat, dog, cow", weights=str(broken))
    (broken / "config.json").write_text(json.dumps({**config, "decoder_ffn_dim": 48}))
    refuse("another architecture", weights=str(broken))
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    refuse("model.safetensors is damaged", weights=str(broken))


def test_an_input_too_small_for_its_finds(saved):
    with pytest.raises(UserError, match="input_size=32x32: has 21 places for the 30 finds that the network makes"):
        find(saved[1], noise(1), input_size="32x32")


def test_a_name_out_of_reach(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refuse("without a network give a folder", weights="nobody/no-such-model")


def test_a_folder_at_a_uri(saved, monkeypatch, tmp_path):
    import fsspec

    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path))
    remote = fsspec.filesystem("memory")
    for file in os.listdir(saved[1]):
        remote.pipe_file(f"/models/rt/{file}", (saved[1] / file).read_bytes())
    _, scores = find("memory://models/rt", noise(1))
    torch.testing.assert_close(scores, find(saved[1], noise(1))[1])


def test_whole_frame_finds_one_person_who_fills_it():
    boxes, scores = WholeFrame(PersonsConfig(), 1, "cpu")(torch.zeros(3, 20, 30, 3, dtype=torch.uint8))
    assert boxes.tolist() == [[[0, 0, 30, 20]]] * 3
    assert scores.tolist() == [[1]] * 3
