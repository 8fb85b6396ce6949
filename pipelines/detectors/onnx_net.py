"""Networks in ONNX Runtime, which is faster than PyTorch on CPUs without bf16.

A network is exported once per machine and then read from the cache.
"""

import hashlib
import importlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.detectors.heatmaps import fold_batch_norms
from pipelines.io import storage
from schemas.errors import UserError
from schemas.layouts import JointLayout

_FILE = "network.onnx"
# The exporter needs an upper bound of the batch size; this is larger than any batch in use.
_LARGEST_BATCH = 1 << 16


class OnnxNet:
    """A network for inference on a CPU, in float32; implements `HeatmapNet`.

    Args:
        network: Maps crops to heatmaps. Its batch norms are folded in place.
        layout: The joints.
        input_wh: Width and height of the crops, pixels.
        threads: CPU threads.

    Raises:
        UserError: ONNX Runtime or its exporter is not installed, or the cache cannot be written.
    """

    def __init__(self, network: nn.Module, layout: JointLayout, input_wh: tuple[int, int], threads: int) -> None:
        runtime = _require()
        self.layout = layout
        self.input_wh = input_wh
        self.stride = 4
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # By default, waiting threads spin and take CPU time from the video decoder on the same machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = _exported(network, input_wh)
        self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def __call__(
        self, crops: Float[Tensor, "people 3 crop_height crop_width"]
    ) -> Float[Tensor, "people joints height width"]:
        """Predict the heatmaps of a batch of crops."""
        [maps] = self._session.run(None, {"crops": crops.contiguous().numpy()})
        return torch.from_numpy(maps)


def _require() -> Any:
    try:
        for exporter in ("onnx", "onnxscript"):
            importlib.import_module(exporter)
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UserError(
            f"detector.backend=onnx: cannot be loaded ({error}); pip install 'raylift[onnx]', or give torch"
        ) from error


def _exported(network: nn.Module, input_wh: tuple[int, int]) -> Path:
    """The exported network's file. Exporting takes half a minute, and other processes wait until it is done."""
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    folder = storage.cache_folder() / "onnx"
    target = folder / _digest(network, input_wh)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():
                with tempfile.TemporaryDirectory(dir=folder) as temporary:
                    _export(network, input_wh, Path(temporary) / target.name)
                    (Path(temporary) / target.name).rename(target)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}; set RAYLIFT_CACHE") from error
    return target / _FILE


def _export(network: nn.Module, input_wh: tuple[int, int], into: Path) -> None:
    into.mkdir()
    # The example has two crops, because the exporter treats a batch size of 1 as a constant.
    example = torch.zeros(2, 3, input_wh[1], input_wh[0])
    people = torch.export.Dim("people", min=1, max=_LARGEST_BATCH)
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    exporter.setLevel(logging.ERROR)  # because it warns of optional packages that are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                *(network, (example,)),
                **{"input_names": ["crops"], "dynamic_shapes": ({0: people},), "dynamo": True, "verbose": False},
            )
    finally:
        exporter.setLevel(before)
    assert program is not None
    # The weights go into a separate file, because an ONNX file holds at most 2 GB.
    program.save(str(into / _FILE), external_data=True)


def _digest(network: nn.Module, input_wh: tuple[int, int]) -> str:
    """A hash of everything that the exported file depends on."""
    digest = hashlib.sha256(f"{network} {input_wh} {torch.__version__}".encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
