"""BlazePose's heavy landmark model, from its TensorFlow.js files, run by PyTorch on the CPU."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from pipelines.detectors.blazepose.weights import HEAVY_GRAPH_FILE, HEAVY_WEIGHTS_FILE
from pipelines.detectors.tfjs_graph import TfjsGraph

# The nodes of the joints' rows, the person's probability, and the heatmaps before their sigmoid.
_OUTPUTS = ("Identity_2", "Identity_3", "StatefulPartitionedCall/model/output_heatmap/BiasAdd")


class HeavyLandmarks:
    """Implements `LandmarkNetwork` of `landmark_model`.

    Args:
        folder: Holds the two model files.
        threads: CPU threads that one call uses.
    """

    side = 256

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._graph = TfjsGraph(folder / HEAVY_GRAPH_FILE, folder / HEAVY_WEIGHTS_FILE, _OUTPUTS).eval()
        self._graph.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (the stubs lack it)

    @torch.inference_mode()
    def __call__(self, image: Float32[np.ndarray, "side side 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of the joints, the person's probability, and the heatmaps (cells, cells, joints)."""
        rows, person, heatmaps = self._graph(torch.from_numpy(image)[None].permute(0, 3, 1, 2))
        return rows[0].numpy(), person[0].numpy(), heatmaps[0].permute(1, 2, 0).numpy()
