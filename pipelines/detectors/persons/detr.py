"""RT-DETR, RT-DETRv2 and D-FINE: networks of transformers, with our own pre- and postprocessing on the device."""

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, UInt8
from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipelines.detectors import pretrained
from pipelines.detectors.persons.base import COARSEST, PersonsConfig
from pipelines.detectors.scaling import scaled
from pipelines.detectors.weights import parse_size, random_seed
from pipelines.pose.upload import uploaded
from schemas.errors import UserError

_CLASSES = {
    "rt_detr": "RTDetrForObjectDetection",
    "rt_detr_v2": "RTDetrV2ForObjectDetection",
    "d_fine": "DFineForObjectDetection",
}
FIELD = "detector.persons.weights"

# Largest side of what frames are scaled to, pixels, and number of finds, which take memory by their square: published
# networks have 640 and 300.
_LARGEST_SIDE, _MOST_FINDS = 4096, 2000
# Memory for scaling frames as floats, in bytes, which limits how many frames are scaled at once.
_SCALING_BYTES = 1 << 30


class _Size(BaseModel, strict=True):
    height: int = Field(default=640, ge=COARSEST, le=_LARGEST_SIDE)
    width: int = Field(default=640, ge=COARSEST, le=_LARGEST_SIDE)


class _Preprocessor(BaseModel, strict=True):
    """What preprocessor_config.json says of how frames are prepared; the defaults are those of the published networks.

    Attributes:
        size: What frames are scaled to, pixels.
        do_normalize: Whether pixels are normalised.
        image_mean: The mean of each channel, of pixels from 0 to 1.
        image_std: Their standard deviation.
    """

    size: _Size = _Size()
    do_normalize: bool = False
    image_mean: list[FiniteFloat] = Field(default=[0.485, 0.456, 0.406], min_length=3, max_length=3)
    image_std: list[Annotated[FiniteFloat, Field(gt=0)]] = Field(
        default=[0.229, 0.224, 0.225], min_length=3, max_length=3
    )


class DetrPersons:
    """Finds people in whole frames; implements `PersonFinder`.

    Args:
        config: The options.
        threads: Not used; the number of threads is set for the whole process.
        device: A torch device string.

    Raises:
        UserError: The weights cannot be loaded or have no class of people, or transformers cannot be loaded.
    """

    DEFAULT_WEIGHTS: ClassVar[str] = PersonsConfig().weights

    def __init__(self, config: PersonsConfig, threads: int, device: str) -> None:
        loaded = _load(config.weights)
        preprocessor = _preprocessor(loaded.preprocessor, config.weights)
        if device.startswith("cuda"):
            # Otherwise transformers compares sizes on the GPU in every decoder layer, and waits for each result.
            os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
        self.weights_sha256 = loaded.sha256
        self._model = loaded.model.to(device).requires_grad_(False)
        self._person = _person_class(loaded.model.config.id2label, config.weights)
        self._slots = config.max_people * 2
        self._size_wh = (preprocessor.size.width, preprocessor.size.height)
        if config.input_size is not None:
            self._size_wh = parse_size(config.input_size, COARSEST)
        _require_usual(loaded.model.config, config.weights)
        _require_room(loaded.model.config, self._size_wh)
        self._mean, self._deviation = (
            _per_channel(values, device) if preprocessor.do_normalize else None
            for values in (preprocessor.image_mean, preprocessor.image_std)
        )

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[Tensor, "frames height width 3"]
    ) -> tuple[Float[Tensor, "frames slots 4"], Float[Tensor, "frames slots"]]:
        """The people of the best scores in each frame, twice `max_people`: some are detected twice."""
        height, width = frames.shape[1:3]
        # Weights in half precision would move boxes by pixels; autocast keeps sums in float32.
        on_gpu = frames.device.type == "cuda"
        with (
            torch.autocast(frames.device.type, torch.float16, enabled=on_gpu),
            _FilledOnDevice() if on_gpu else nullcontext(),
        ):
            output = self._model(pixel_values=self._pixels(frames))
        scores = output.logits[..., self._person].float().sigmoid()
        best, queries = scores.topk(min(self._slots, scores.shape[1]), dim=1)
        boxes = output.pred_boxes.float().gather(1, queries[..., None].expand(-1, -1, 4))
        middles, sizes = boxes.split(2, dim=2)
        corners = torch.cat([middles - sizes / 2, middles + sizes / 2], dim=2)
        return corners * uploaded(torch.tensor([width, height, width, height]), corners.device), best

    def _pixels(self, frames: UInt8[Tensor, "frames height width 3"]) -> Float[Tensor, "frames 3 rows columns"]:
        together = max(1, _SCALING_BYTES // (4 * frames[0].numel()))
        columns, rows = self._size_wh
        pixels = torch.cat([scaled(part, rows, columns) for part in frames.split(together)]) / 255
        return pixels if self._mean is None or self._deviation is None else (pixels - self._mean) / self._deviation


class _FilledOnDevice(TorchFunctionMode):
    """`tensor[place] = number` without a copy from the CPU that PyTorch would wait for.

    So transformers writes the sizes of feature maps, number by number.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__setitem__ and isinstance(args[2], int | float):
            args[0][args[1]].fill_(args[2])
            return None
        return func(*args, **(kwargs or {}))


def _load(weights: str) -> pretrained.Pretrained:
    if random_seed(weights) is None:
        return pretrained.load_pretrained(weights, FIELD, _CLASSES)
    library = pretrained.library()
    # The random model is RT-DETRv2 with the smallest of its published backbones, ResNet-18.
    backbone = library.RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", out_indices=[2, 3, 4]
    )
    config = library.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        id2label={0: "person", 1: "other"},
    )
    return pretrained.random_model(weights, "RTDetrV2ForObjectDetection", config)


def _person_class(names: dict[int, str], weights: str) -> int:
    for number, name in names.items():
        if name.lower() in ("person", "people", "human", "pedestrian"):
            return int(number)
    names_shown = ", ".join(list(names.values())[:5])
    raise UserError(f"{FIELD}={weights}: knows no class 'person' (but {names_shown}, …); give a model trained on COCO")


def _preprocessor(content: Mapping[str, Any], weights: str) -> _Preprocessor:
    try:
        return _Preprocessor.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise UserError(f"{FIELD}={weights}: preprocessor_config.json holds no {name}: {first['msg']}") from error


def _require_usual(config: Any, weights: str) -> None:
    """Check the options of a network that its weights say nothing of.

    Raises:
        UserError: They are not those of a network for pictures.
    """
    strides, finds = config.feat_strides, config.num_queries
    if not all(isinstance(stride, int) and 1 <= stride <= COARSEST * 4 for stride in strides):
        raise UserError(f"{FIELD}={weights}: config.json: feat_strides={strides} must be whole pixels; copy it again")
    if not 1 <= finds <= _MOST_FINDS:
        raise UserError(f"{FIELD}={weights}: config.json: num_queries={finds} must be 1 to {_MOST_FINDS}")


def _require_room(config: Any, size_wh: tuple[int, int]) -> None:
    """Check that the feature maps have at least as many positions as the network has queries."""
    places = sum((size_wh[0] // stride) * (size_wh[1] // stride) for stride in config.feat_strides)
    if places < config.num_queries:
        raise UserError(
            f"detector.persons.input_size={size_wh[1]}x{size_wh[0]}: has {places} places for the {config.num_queries} "
            "finds that the network makes; give a larger one"
        )


def _per_channel(values: Sequence[float], device: str) -> Any:
    return torch.tensor(values, device=device)[:, None, None]
