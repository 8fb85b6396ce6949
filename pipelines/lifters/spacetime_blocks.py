"""The blocks of `SpacetimeTransformer`: attention over joints, attention over frames, and how they are combined."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.spacetime_transformer_options import SpacetimeTransformerConfig
from schemas.layouts import JointLayout

_EPS = 1e-6
# The largest number of bones between two joints that is distinguished; more, or no connection, count as this.
MOST_HOPS = 8


class Block(nn.Module):
    """Attention over joints and over frames, in one order or in both side by side.

    Args:
        config: The options of the lifter.
        number: Place of the block, counted from 0.
        hops: Bones between each two joints; None: attention does not depend on it.
    """

    def __init__(
        self, config: SpacetimeTransformerConfig, number: int, hops: Int64[Tensor, "joints joints"] | None
    ) -> None:
        super().__init__()
        # Later blocks are skipped with a higher probability (Huang et al. 2016).
        skipped = config.drop_path * number / max(1, config.depth - 1)
        self.joints_first = nn.ModuleList([Stage(config, skipped, hops), Stage(config, skipped, causal=config.causal)])
        self.frames_first = self.fusion = None
        if config.streams == "dual":
            self.frames_first = nn.ModuleList(
                [Stage(config, skipped, causal=config.causal), Stage(config, skipped, hops)]
            )
            self.fusion = nn.Linear(2 * config.channels, 2)

    def forward(
        self, x: Float[Tensor, "batch frames joints channels"]
    ) -> Float[Tensor, "batch frames joints channels"]:
        """Attend in both directions."""
        over_joints, over_frames = self.joints_first
        first = over_frames(over_joints(x).transpose(1, 2)).transpose(1, 2)
        if self.frames_first is None or self.fusion is None:
            return first
        over_frames, over_joints = self.frames_first
        second = over_joints(over_frames(x.transpose(1, 2)).transpose(1, 2))
        shares = self.fusion(torch.cat([first, second], dim=-1)).softmax(dim=-1)
        return first * shares[..., :1] + second * shares[..., 1:]

    def share_equally(self) -> None:
        """Give both streams the same share, as training begins."""
        if self.fusion is not None:
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)


class Stage(nn.Module):
    """Attention along one axis and a perceptron, each with a residual connection around it.

    Args:
        config: The options of the lifter.
        skipped: Share of samples for which it does nothing in training.
        hops: Bones between each two joints, if the axis is that of joints and attention is to depend on it.
        causal: Whether tokens attend to none that follow them.
    """

    hops: Tensor

    def __init__(
        self,
        config: SpacetimeTransformerConfig,
        skipped: float,
        hops: Int64[Tensor, "joints joints"] | None = None,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        channels, hidden = config.channels, int(config.channels * config.mlp_ratio)
        self._heads, self._skipped = config.heads, skipped
        self._causal = causal
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=_EPS), nn.LayerNorm(channels, eps=_EPS)
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.bone_bias = None
        if hops is not None:
            self.bone_bias = nn.Parameter(torch.zeros(config.heads, MOST_HOPS + 1))
            self.register_buffer("hops", hops, persistent=False)

    def forward(self, x: Float[Tensor, "batch apart along channels"]) -> Float[Tensor, "batch apart along channels"]:
        """Attend along the third axis."""
        x = x + self._kept(self._attend(self.norm1(x)))
        return x + self._kept(self.fc2(functional.gelu(self.fc1(self.norm2(x)))))

    def _attend(self, x: Float[Tensor, "batch apart along channels"]) -> Float[Tensor, "batch apart along channels"]:
        batch, apart, along, channels = x.shape
        qkv = self.qkv(x).view(batch * apart, along, 3, self._heads, channels // self._heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = None if self.bone_bias is None else self.bone_bias[None, :, self.hops].to(query.dtype)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, is_causal=self._causal)
        return self.proj(attended.transpose(1, 2).reshape(batch, apart, along, channels))

    def _kept(self, x: Float[Tensor, "batch apart along channels"]) -> Float[Tensor, "batch apart along channels"]:
        """Drop the whole branch of some samples in training, and enlarge that of the others to compensate."""
        if not self.training or self._skipped == 0:
            return x
        kept = torch.rand((len(x), 1, 1, 1), device=x.device) >= self._skipped
        return x * (kept / (1 - self._skipped)).to(x.dtype)


def hops_between(joints: list[str], *layouts: JointLayout) -> Int64[Tensor, "joints joints"]:
    """The number of bones between each two joints, over the bones of all layouts; `MOST_HOPS` at most."""
    hops = torch.full((len(joints), len(joints)), MOST_HOPS)
    hops.fill_diagonal_(0)
    for layout in layouts:
        for child, parent in layout.bones:
            if {layout.joints[child], layout.joints[parent]} <= set(joints):
                ends = joints.index(layout.joints[child]), joints.index(layout.joints[parent])
                hops[ends] = hops[ends[::-1]] = 1
    for middle in range(len(joints)):  # the Floyd-Warshall algorithm for shortest paths
        hops = torch.minimum(hops, hops[:, middle, None] + hops[None, middle])
    return hops
