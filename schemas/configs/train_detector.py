"""Config of the train_detector job."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas.configs.resources import ResourcesConfig
from schemas.job_config import Address, JobConfig, NamedAddress, PluginConfig, PluginTable
from schemas.run_config import RunConfig
from schemas.text_form import TextForm

Share = Annotated[float, Field(ge=0, le=1)]

# How sizes of crops are written, pixels; a crop of more than 2,000 pixels a side would only fill the memory.
_SIDE = r"([1-9]\d{0,2}|1\d{3})"
CropSize = Annotated[str, AfterValidator(TextForm(f"{_SIDE}x{_SIDE}", "HEIGHTxWIDTH in pixels, such as 256x192"))]
Detector = Literal["hrnet", "vitpose"]
# Height and width of the crops are multiples of these: what a pixel of the lowest resolution, or a token, stands for.
_MULTIPLES: dict[Detector, int] = {"hrnet": 32, "vitpose": 16}
# Batch normalisation needs at least two by two pixels at HRNet's lowest resolution.
_LEAST_PX = 64


def _fits(size: str, multiple: int) -> bool:
    return all(int(side) % multiple == 0 and int(side) >= _LEAST_PX for side in size.split("x"))


class NetworkConfig(JobConfig):
    """The network."""

    channels: int | None = Field(default=None, ge=1, le=128)
    """HRNet: channels of the highest-resolution branch. HRNet-W32 has 32; small machines need fewer. If not given, as
    in weights, or 32 without weights."""

    all_branches: bool | None = None
    """HRNet: predict from all branches instead of the highest-resolution one. Helps narrow networks, whose
    highest-resolution branch has fewer channels than there are joints. If not given, as in weights, or false without
    weights."""

    input_size: CropSize | None = None
    """HEIGHTxWIDTH of the crops, px: multiples of 32 (vitpose: 16), at least 64. If not given, as in weights, or
    256x192 without weights. The position embeddings of vitpose are interpolated."""

    sigma: Literal[1, 2, 3] | None = None
    """Standard deviation of the target heatmaps, heatmap px. If not given, as in weights; without weights 3 for inputs
    of 384x288 or more, else 2."""

    @field_validator("input_size")
    @classmethod
    def _multiples(cls, size: str | None) -> str | None:
        if size and not _fits(size, min(_MULTIPLES.values())):
            raise ValueError(f"height and width must be multiples of 32 (vitpose: 16), at least {_LEAST_PX}")
        return size


class AugmentationConfig(JobConfig):
    """Random changes of each crop, new in every epoch. The defaults are those of HRNet's COCO training."""

    scale: float = Field(default=0.35, ge=0, lt=1)
    """Standard deviation of the relative scale, which is also its largest change up or down."""

    rotation_deg: float = Field(default=45.0, ge=0, le=180)
    """Standard deviation of the rotation, degrees. The largest rotation is twice that."""

    rotated: Share = 0.6
    """Share of the crops that are rotated, 0 to 1."""

    mirrored: Share = 0.5
    """Share of the crops that are mirrored, 0 to 1."""

    half_body: Share = 0.3
    """Share of the crops with more than eight known joints that show only the upper or the lower body, 0 to 1."""


class DetectorOptimizationConfig(JobConfig):
    """The optimizer and its schedule. The defaults are those of HRNet's training."""

    epochs: int = Field(default=210, ge=1)
    """Number of passes over the people."""

    batch_size: int = Field(default=128, ge=1)
    """Number of people in a batch, summed over all workers."""

    accumulate: int = Field(default=1, ge=1)
    """Number of parts of a batch that each worker computes one after another before it changes the weights, which takes
    the memory of one part. Batch norm normalises each part by itself."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam in the first epoch; of vitpose's last layer."""

    decay_at: tuple[Share, ...] = (170 / 210, 200 / 210)
    """When the learning rate is reduced, as shares of the number of epochs."""

    decay: float = Field(default=0.1, gt=0, le=1)
    """Factor by which the learning rate is multiplied each time."""

    layer_decay: float | None = Field(default=None, gt=0, le=1)
    """vitpose: factor of the learning rate from each layer to the one before it. If not given, 0.75."""

    weight_decay: float | None = Field(default=None, ge=0)
    """vitpose: weight decay of its matrices (AdamW). If not given, 0.1."""

    seed: int = Field(default=0, ge=0)
    """Random seed of weights, sample order and augmentation. The same seed gives the same network on the same kind of
    machine."""


class TrainDetectorConfig(RunConfig):
    """Config of the train_detector job, which trains HRNet or ViTPose, detectors of the joints of a person in a box."""

    detector: Detector = "hrnet"
    """What is trained: hrnet, from nothing or from weights, or vitpose, from weights alone."""

    data: Annotated[PluginConfig, PluginTable("people_sources")]
    """Labeled people to train on: coco, mpii, studio (of the synthesize job) or tracks (with their videos)."""

    validation: Annotated[PluginConfig | None, PluginTable("people_sources")] = None
    """Labeled people that select the best epoch. If not given, the last epoch is the best."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for canvases, checkpoints, best.pt, last.pt and report.json. Run the same command again to
    resume."""

    weights: NamedAddress | None = None
    """Checkpoint to start from (any URI): of this job, HRNet's or ViTPose's authors or mmpose; of vitpose also a folder
    of transformers or its Hugging Face name. If not given, random weights, which vitpose cannot begin with."""

    network: NetworkConfig = NetworkConfig()
    """The network."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """Random changes of each crop."""

    optimization: DetectorOptimizationConfig = DetectorOptimizationConfig()
    """The optimizer and its schedule."""

    flip_test: bool = False
    """Also validate on the mirrored crops and average both results, as published results do. Takes twice the time."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of images and stretches of video that may be unreadable before the job ends without training; null: any
    number."""

    resources: ResourcesConfig = ResourcesConfig()
    """Number and size of the training workers."""

    @model_validator(mode="after")
    def _fits_the_detector(self) -> Self:
        size, multiple = self.network.input_size, _MULTIPLES[self.detector]
        if size and not _fits(size, multiple):
            raise ValueError(
                f"network.input_size={size}: height and width must be multiples of {multiple}, at least {_LEAST_PX}"
            )
        if self.detector == "vitpose" and self.weights is None:
            raise ValueError("weights: is required with detector=vitpose; give those of a trained ViTPose")
        others = {
            "hrnet": {
                f"optimization.{name}": getattr(self.optimization, name) for name in ("layer_decay", "weight_decay")
            },
            "vitpose": {f"network.{name}": getattr(self.network, name) for name in ("channels", "all_branches")},
        }
        if foreign := [field for field, value in others[self.detector].items() if value is not None]:
            raise ValueError(f"{foreign[0]}: detector={self.detector} has no such option; leave it out")
        return self
