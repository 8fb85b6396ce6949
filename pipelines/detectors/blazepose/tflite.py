"""A TensorFlow Lite model whose input is one square image; LiteRT runs it on the CPU with XNNPACK kernels."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float32


class TfliteModel:
    """A loaded model; an instance may be called from one thread only.

    Args:
        path: The .tflite file.
        threads: CPU threads that one call uses.

    Attributes:
        side: Edge of the square input, pixels.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        [image] = self._interpreter.get_input_details()
        self._input = image["index"]
        self._outputs = {output["name"]: output["index"] for output in self._interpreter.get_output_details()}
        self.side = int(image["shape"][1])

    def __call__(self, image: Float32[np.ndarray, "side side 3"], *outputs: str) -> list[np.ndarray]:
        """Run the model on an image; returns the outputs with the given names, without their batch axis."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[name])[0] for name in outputs]
