import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.detectors.tfjs_graph import TfjsGraph


def text(value: str) -> dict:
    import base64

    return {"s": base64.b64encode(value.encode()).decode()}


def write(folder: Path, nodes: list[dict], weights: dict[str, np.ndarray]) -> tuple[Path, Path]:
    entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"} for name, array in weights.items()]
    nodes = [{"name": name, "op": "Const"} for name in weights] + nodes
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": entries}]}
    (folder / "model.json").write_text(json.dumps(model))
    (folder / "model.bin").write_bytes(b"".join(array.astype(np.float32).tobytes() for array in weights.values()))
    return folder / "model.json", folder / "model.bin"


def convolution(stride: int, padding: str, *fused: str) -> dict:
    import base64

    return {
        "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
        "padding": text(padding),
        "fused_ops": {"list": {"s": [base64.b64encode(name.encode()).decode() for name in fused]}},
    }


def test_padding_is_tensorflows_the_odd_pixel_goes_to_the_end(tmp_path: Path) -> None:
    """3 × 3 ones with stride 2 on 4 × 4 ones: only the last row and column of windows reach over the edge."""
    nodes = [
        {"name": "image", "op": "Placeholder"},
        {"name": "sum", "op": "_FusedConv2D", "input": ["image", "w", "b"], "attr": convolution(2, "SAME", "BiasAdd")},
    ]
    graph = TfjsGraph(*write(tmp_path, nodes, {"w": np.ones((3, 3, 1, 1)), "b": np.zeros(1)}), ["sum"])
    (out,) = graph(torch.ones(1, 1, 4, 4))
    np.testing.assert_array_equal(out[0, 0], [[9, 6], [6, 4]])


def test_a_depthwise_convolution_treats_channels_apart_and_relu6_clips(tmp_path: Path) -> None:
    weights = {"w": np.array([1.0, 10.0]).reshape(1, 1, 2, 1), "b": np.array([-2.0, 0.0])}
    attributes = convolution(1, "VALID", "BiasAdd", "Relu6")
    nodes = [
        {"name": "image", "op": "Placeholder"},
        {"name": "out", "op": "FusedDepthwiseConv2dNative", "input": ["image", "w", "b:0"], "attr": attributes},
    ]
    graph = TfjsGraph(*write(tmp_path, nodes, weights), ["out"])
    (out,) = graph(torch.ones(1, 2, 1, 1))
    assert out.flatten().tolist() == [0.0, 6.0]


def test_an_operation_that_is_not_known_is_named(tmp_path: Path) -> None:
    nodes = [{"name": "image", "op": "Placeholder"}, {"name": "out", "op": "FFT2D", "input": ["image"]}]
    with pytest.raises(ValueError, match="operations that are not known here: FFT2D"):
        TfjsGraph(*write(tmp_path, nodes, {}), ["out"])


def test_weights_of_another_length_are_refused(tmp_path: Path) -> None:
    model, weights = write(tmp_path, [{"name": "image", "op": "Placeholder"}], {"w": np.ones(3)})
    weights.write_bytes(weights.read_bytes() + b"more")
    with pytest.raises(ValueError, match="16 bytes, the graph model describes 12"):
        TfjsGraph(model, weights, ["image"])


def test_zeros_around_an_image_and_another_shape_follow_tensorflows_axes(tmp_path: Path) -> None:
    """One zero row above, two zero columns at the right, a zero channel; then one row of numbers for each image."""
    nodes = [
        {"name": "image", "op": "Placeholder"},
        {"name": "padded", "op": "Pad", "input": ["image", "p"]},
        {"name": "row", "op": "Reshape", "input": ["padded", "s"]},
    ]
    weights = {"p": np.array([[0, 0], [1, 0], [0, 2], [0, 1]]), "s": np.array([-1, 12])}
    model, data = write(tmp_path, nodes, weights)
    graph = TfjsGraph(*integers(model, data, weights), ["padded", "row"])
    padded, row = graph(torch.tensor([5.0, 7.0])[:, None, None, None])
    assert padded.shape == (2, 2, 2, 3)
    assert row.tolist() == [[0] * 6 + [value] + [0] * 5 for value in (5, 7)]


def integers(model: Path, data: Path, weights: dict[str, np.ndarray]) -> tuple[Path, Path]:
    """The files of `write` with whole numbers as weights."""
    document = json.loads(model.read_text())
    for entry in document["weightsManifest"][0]["weights"]:
        entry["dtype"] = "int32"
    model.write_text(json.dumps(document))
    data.write_bytes(b"".join(array.astype(np.int32).tobytes() for array in weights.values()))
    return model, data
