"""HRNet (Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR 2019).

Up to four branches run in parallel, each with half the resolution and twice the channels of the one before. After every
four blocks they exchange their features. Heatmaps are predicted from the branch with the highest resolution. The
weights have the names and the order of the published checkpoints.

Narrow networks may predict heatmaps from all branches (HRNetV2: Sun et al., High-Resolution Representations for
Labeling Pixels and Regions, 2019), because a first branch with fewer channels than joints cannot tell all joints apart.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

# The paper's numbers of exchange units in stages 2 to 4; stage s has s branches.
_UNITS = (1, 4, 3)
_BLOCKS = 4
_STEM_CHANNELS = 64
_FIRST_STAGE_CHANNELS = 256


class HrnetNetwork(nn.Module):
    """Maps crops to heatmaps of a quarter of their size.

    Args:
        channels: Channels of the first branch: 32 is W32, 48 is W48; the others have 2, 4 and 8 times as many.
        joints: Number of heatmaps.
        all_branches: Predict heatmaps from all branches, upsampled and concatenated, not from the first one only.
    """

    def __init__(self, channels: int, joints: int, all_branches: bool = False) -> None:
        super().__init__()
        self.all_branches = all_branches
        widths = [channels << branch for branch in range(4)]
        self.conv1, self.bn1 = _conv(3, _STEM_CHANNELS, 3, stride=2), nn.BatchNorm2d(_STEM_CHANNELS)
        self.conv2, self.bn2 = _conv(_STEM_CHANNELS, _STEM_CHANNELS, 3, stride=2), nn.BatchNorm2d(_STEM_CHANNELS)
        inputs = (_STEM_CHANNELS, *(_FIRST_STAGE_CHANNELS,) * (_BLOCKS - 1))
        self.layer1 = nn.Sequential(*(_Bottleneck(each) for each in inputs))
        self.transition1 = nn.ModuleList(
            [
                _filter(_FIRST_STAGE_CHANNELS, widths[0]),
                nn.Sequential(_filter(_FIRST_STAGE_CHANNELS, widths[1], stride=2)),
            ]
        )
        self.stage2 = _stage(widths[:2], _UNITS[0])
        self.transition2 = _transition(widths[:3])
        self.stage3 = _stage(widths[:3], _UNITS[1])
        self.transition3 = _transition(widths)
        self.stage4 = _stage(widths, _UNITS[2], outputs=len(widths) if all_branches else 1)
        self.final_layer = nn.Conv2d(sum(widths) if all_branches else channels, joints, 1)
        self.apply(_initialise)

    def cast_weights(self) -> list[nn.Parameter]:
        """Those of all filters but the last; see `pipelines.training.cast_weights`."""
        filters = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        return [weight for module in filters if module is not self.final_layer for weight in module.parameters()]

    def forward(
        self, crops: Float[Tensor, "people 3 height width"]
    ) -> Float[Tensor, "people joints heatmap_height heatmap_width"]:
        """Predict a heatmap for each joint, float32; the crops' height and width must be multiples of 32."""
        x = self.bn1(self.conv1(crops)).relu()
        x = self.layer1(self.bn2(self.conv2(x)).relu())
        branches = self.stage2([transition(x) for transition in self.transition1])
        branches = self.stage3(_with_new_branch(self.transition2, branches))
        branches = self.stage4(_with_new_branch(self.transition3, branches))
        features = _concatenated(branches) if self.all_branches else branches[0]
        # The last layer always runs in float32, because decoding compares neighbouring values.
        with torch.autocast(crops.device.type, enabled=False):
            return self.final_layer(features.to(self.final_layer.weight.dtype)).float()


class _Bottleneck(nn.Module):
    """A residual block of 1×1, 3×3 and 1×1 convolutions."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        channels, channels_out = _STEM_CHANNELS, _FIRST_STAGE_CHANNELS
        self.conv1, self.bn1 = _conv(channels_in, channels, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = _conv(channels, channels_out, 1), nn.BatchNorm2d(channels_out)
        same = channels_in == channels_out
        self.downsample = (
            None if same else nn.Sequential(_conv(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        skipped = x if self.downsample is None else self.downsample(x)
        return (self.bn3(self.conv3(y)) + skipped).relu()


class _BasicBlock(nn.Module):
    """A residual block of two 3×3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + x).relu()


class _ExchangeUnit(nn.Module):
    """Residual blocks in every branch; then each of the first `outputs` branches gets the sum of all features."""

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(_BasicBlock(width) for _ in range(_BLOCKS))) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in range(len(widths))) for target in range(outputs)
        )

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        features = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            assert isinstance(paths, nn.ModuleList)
            total = paths[0](features[0])
            for path, x in zip(paths[1:], features[1:], strict=True):
                total = total + path(x)
            fused.append(total.relu())
        return fused


class _Upsample(nn.Module):
    """Repeats every pixel factor × factor times."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=self.factor, mode="nearest")


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """The layers through which one branch's features are added to another's."""
    if source == target:
        return nn.Identity()
    if source > target:
        reduce = _conv(widths[source], widths[target], 1)
        return nn.Sequential(reduce, nn.BatchNorm2d(widths[target]), _Upsample(1 << (source - target)))
    halvings = [_filter(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    last = nn.Sequential(_conv(widths[source], widths[target], 3, stride=2), nn.BatchNorm2d(widths[target]))
    return nn.Sequential(*halvings, last)


def _stage(widths: Sequence[int], units: int, outputs: int | None = None) -> nn.Sequential:
    last = units - 1
    return nn.Sequential(
        *(_ExchangeUnit(widths, outputs if outputs and unit == last else len(widths)) for unit in range(units))
    )


def _transition(widths: Sequence[int]) -> nn.ModuleDict:
    """Makes the new branch, the last of `widths`, from the branch with the lowest resolution so far."""
    return nn.ModuleDict({str(len(widths) - 1): nn.Sequential(_filter(widths[-2], widths[-1], stride=2))})


def _with_new_branch(transition: nn.ModuleDict, branches: list[Tensor]) -> list[Tensor]:
    return [*branches, transition[str(len(branches))](branches[-1])]


def _concatenated(branches: list[Tensor]) -> Tensor:
    finest, *others = branches
    size = finest.shape[-2:]
    upsampled = (functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in others)
    return torch.cat([finest, *upsampled], dim=1)


def _filter(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(channels_in, channels_out, 3, stride), nn.BatchNorm2d(channels_out), nn.ReLU())


def _conv(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        # The authors' scale. Batch norm undoes it except in the last layer, so heatmaps start near 0.
        nn.init.normal_(module.weight, std=0.001)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
