"""TensorFlow.js graph models run by PyTorch: convolutional networks from their two files, without TensorFlow.

A graph model is a JSON file, whose nodes name an operation and its inputs, and a file of weights in the order in which
the JSON file lists them. Only the operations of `_OPERATIONS` are known: the convolutional part of a network, up to
outputs that the caller names. What follows there, such as the decoding of heatmaps, is written in PyTorch.

TensorFlow stores images as (batch, height, width, channels); here they are (batch, channels, height, width).
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class _Node:
    """One operation of the graph.

    Attributes:
        operation: TensorFlow's name of it.
        inputs: Names of other nodes and of weights.
        attributes: What the JSON file says of it.
    """

    operation: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, name: str) -> list[int]:
        """A list of whole numbers, such as strides."""
        return [int(value) for value in self.attributes[name]["list"]["i"]]

    def text(self, name: str) -> str:
        """A text, which the JSON file holds in base64."""
        return base64.b64decode(self.attributes[name]["s"]).decode()

    @property
    def fused(self) -> list[str]:
        """The operations that follow a convolution in the same node, such as "BiasAdd" and "Relu6"."""
        listed = self.attributes.get("fused_ops", {}).get("list", {}).get("s", [])
        return [base64.b64decode(name).decode() for name in listed]


class TfjsGraph(nn.Module):
    """The part of a graph model that leads from its input to some of its nodes.

    Args:
        model: The JSON file.
        weights: The file of weights.
        outputs: Names of the nodes whose values are wanted.

    Raises:
        ValueError: The part has an operation that is not known here.
    """

    def __init__(self, model: Path, weights: Path, outputs: Sequence[str]) -> None:
        super().__init__()
        document = json.loads(model.read_text(encoding="utf-8"))
        arrays = _read_weights(document["weightsManifest"], weights.read_bytes())
        nodes = {
            node["name"]: _Node(node["op"], tuple(map(_node_name, node.get("input", ()))), node.get("attr", {}))
            for node in document["modelTopology"]["node"]
        }
        self._outputs = tuple(outputs)
        self._constants: dict[str, np.ndarray] = arrays
        self._nodes = {name: nodes[name] for name in _in_order(nodes, outputs) if nodes[name].operation != "Const"}
        unknown = {node.operation for node in self._nodes.values()} - _OPERATIONS.keys() - {"Placeholder"}
        if unknown:
            raise ValueError(
                f"{model}: its graph needs operations that are not known here: {', '.join(sorted(unknown))}"
            )
        self._registered: dict[str, str] = {}
        for node in self._nodes.values():
            for name, array in _tensors_of(node, arrays).items():
                if name not in self._registered:
                    self._registered[name] = f"weight_{len(self._registered)}"
                    self.register_buffer(self._registered[name], array)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, ...]:
        """The values of the nodes asked for, of images as the graph's input takes them."""
        values: dict[str, Tensor] = {}
        for name, node in self._nodes.items():
            if node.operation == "Placeholder":
                values[name] = images
            else:
                inputs = [self._value(name, values) for name in node.inputs]
                values[name] = _OPERATIONS[node.operation](node, *inputs)
        return tuple(values[name] for name in self._outputs)

    def _value(self, name: str, values: Mapping[str, Tensor]) -> Any:
        if name in values:
            return values[name]
        return getattr(self, self._registered[name]) if name in self._registered else self._constants.get(name)


def _read_weights(manifest: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, np.ndarray]:
    arrays, offset = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
        count = int(np.prod(entry["shape"], dtype=np.int64))
        array = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
        offset += array.nbytes
        arrays[entry["name"]] = array.astype(entry["dtype"])
    if offset != len(data):
        raise ValueError(f"the weights hold {len(data)} bytes, the graph model describes {offset}")
    return arrays


def _node_name(reference: str) -> str:
    """The node of a reference such as `name:1` (the node's second output) or `^name` (a dependency without a value)."""
    return reference.removeprefix("^").partition(":")[0]


def _in_order(nodes: Mapping[str, _Node], outputs: Sequence[str]) -> list[str]:
    """The nodes that lead to the outputs, each after its inputs."""
    ordered: dict[str, None] = {}
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, inputs_done = stack.pop()
        if name in ordered:
            continue
        if inputs_done:
            ordered[name] = None
        else:
            stack.append((name, True))
            if nodes[name].operation not in _SIZES_FROM_INPUT:
                stack += [(source, False) for source in nodes[name].inputs]
            else:
                stack.append((nodes[name].inputs[0], False))
    return list(ordered)


def _tensors_of(node: _Node, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The weights of a node in PyTorch's order of axes."""
    tensors = {}
    for position, name in enumerate(node.inputs):
        if name not in arrays:
            continue
        array = arrays[name]
        if position == 1 and node.operation in ("_FusedConv2D", "Conv2D"):
            array = array.transpose(3, 2, 0, 1)
        elif position == 1 and "Depthwise" in node.operation:
            # TensorFlow's axes (height, width, channels, 1) become PyTorch's (channels, 1, height, width).
            array = array.transpose(2, 3, 0, 1)
        elif array.ndim == 4:
            array = array.transpose(0, 3, 1, 2)
        tensors[name] = torch.from_numpy(np.ascontiguousarray(array))
    return tensors


def _convolve(node: _Node, images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride = node.integers("strides")[1:3]
    groups = images.shape[1] if "Depthwise" in node.operation else 1
    padding = (0, 0)
    if node.text("padding") == "SAME":
        left, right, top, bottom = _same_padding(images, (weight.shape[2], weight.shape[3]), stride)
        if (left, top) == (right, bottom):
            # Symmetric padding is left to the convolution, which needs no copy of the image.
            padding = (top, left)
        else:
            images = functional.pad(images, (left, right, top, bottom))
    result = functional.conv2d(images, weight, bias, stride, padding, groups=groups)
    if "Relu6" in node.fused:
        return functional.hardtanh_(result, 0.0, 6.0)
    return functional.relu_(result) if "Relu" in node.fused else result


def _same_padding(images: Tensor, kernel: tuple[int, int], stride: Sequence[int]) -> tuple[int, int, int, int]:
    """TensorFlow's padding "SAME" (left, right, top, bottom): an odd pixel goes to the bottom and to the right."""
    height, width = (
        max(0, (-(-size // step) - 1) * step + window - size)
        for size, step, window in zip(images.shape[2:], stride, kernel, strict=True)
    )
    return width // 2, width - width // 2, height // 2, height - height // 2


def _max_pool(node: _Node, images: Tensor) -> Tensor:
    kernel, stride = node.integers("ksize")[1:3], node.integers("strides")[1:3]
    if node.text("padding") == "SAME":
        images = functional.pad(images, _same_padding(images, (kernel[0], kernel[1]), stride), value=-torch.inf)
    return functional.max_pool2d(images, kernel, stride)


def _double(_node: _Node, images: Tensor, *_sizes: Tensor | None) -> Tensor:
    """`ResizeBilinear` as feature pyramids use it: to twice the height and width, whatever computes these sizes."""
    return functional.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def _pad(_node: _Node, images: Tensor, paddings: Tensor) -> Tensor:
    """Zeros around images; the paddings are in TensorFlow's order of axes, the last two of which come first here."""
    batch, rows, columns, channels = paddings.tolist()
    return functional.pad(images, [*columns, *rows, *channels, *batch])


def _reshape(_node: _Node, images: Tensor, shape: Tensor) -> Tensor:
    """Another shape of an image's numbers, which are in TensorFlow's order of axes."""
    return images.permute(0, 2, 3, 1).reshape(len(images), *shape.tolist()[1:])


# Only the first input of these nodes is followed, because the others compute sizes.
_SIZES_FROM_INPUT = frozenset(["ResizeBilinear"])
_OPERATIONS: Mapping[str, Callable[..., Tensor]] = {
    "_FusedConv2D": _convolve,
    "FusedDepthwiseConv2dNative": _convolve,
    "DepthwiseConv2dNative": _convolve,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Reshape": _reshape,
    "ResizeBilinear": _double,
    "Cast": lambda _node, values: values.float(),
    "AddV2": lambda _node, first, second: first + second,
    "Sub": lambda _node, first, second: first - second,
    "Mul": lambda _node, first, second: first * second,
    "Relu6": lambda _node, values: functional.hardtanh(values, 0.0, 6.0),
    "Sigmoid": lambda _node, values: values.sigmoid(),
    "Identity": lambda _node, values: values,
}
