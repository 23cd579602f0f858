"""EfficientVMamba (Pei et al., 2025, arXiv 2403.09977) as an encoder of image observations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.layers import MLP, linear
from envzoo.agents.networks.observation import ObservationCodec, Part
from envzoo.agents.networks.sequence.es2d import ES2D, depthwise, plain_linear
from envzoo.errors import UnsupportedSpaceError

WIDTH, STATE = 16, 8
SMALL = 36  # images with a shorter side have patches of 3 pixels, others of 4


def _pointwise(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    return linear(inputs, outputs, generator, gain=None)


class SqueezeExcite(nn.Module):
    """Weighs channels by the mean over the image: v * sigmoid(W2 gelu(W1 mean(norm(v)))), (B, H, W, d) -> the same."""

    def __init__(self, width: int, generator: torch.Generator | None):
        super().__init__()
        narrow = max(1, width // 8)
        self.norm = nn.LayerNorm(width)
        self.narrow, self.widen = _pointwise(width, narrow, generator), _pointwise(narrow, width, generator)

    def forward(self, v: Tensor) -> Tensor:
        """Weigh the channels."""
        mean = self.norm(v).mean(dim=(1, 2), keepdim=True)
        return v * torch.sigmoid(self.widen(nn.functional.gelu(self.narrow(mean))))


class EVSSBlock(nn.Module):
    """Residual block x + SE(ES2D(u)) + SE(conv(u)) with u = norm(x); both branches share one SE.

    The convolution is normalised in groups and not over batches as in the paper, since batches while acting are small
    and the data of an agent drift.

    Args:
        width: d.
        state_size: N.
        mode: "skip" for ES2D, "full" for SS2D.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(
        self, width: int, state_size: int = STATE, mode: str = "skip", generator: torch.Generator | None = None
    ):
        super().__init__()
        self.norm, self.scan = nn.LayerNorm(width), ES2D(width, state_size, mode, generator)
        self.convolution, self.group_norm = depthwise(width, generator), nn.GroupNorm(1, width)
        self.mix, self.squeeze = _pointwise(width, width, generator), SqueezeExcite(width, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, d) -> (B, H, W, d)."""
        u = self.norm(x)
        local = nn.functional.gelu(self.group_norm(self.convolution(u.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)
        return x + self.squeeze(self.scan(u)) + self.squeeze(self.mix(local))


class InvertedResidual(nn.Module):
    """Residual block of MobileNetV2 with four times the channels inside, normalised in groups."""

    def __init__(self, width: int, generator: torch.Generator | None = None):
        super().__init__()
        wide = 4 * width
        self.widen, self.convolution = _pointwise(width, wide, generator), depthwise(wide, generator)
        self.squeeze, self.narrow = SqueezeExcite(wide, generator), _pointwise(wide, width, generator)
        self.norms = nn.ModuleList(nn.GroupNorm(1, size) for size in (wide, wide, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, d) -> (B, H, W, d)."""
        y = torch.relu(self.norms[0](self.widen(x).permute(0, 3, 1, 2)))
        y = torch.relu(self.norms[1](self.convolution(y))).permute(0, 2, 3, 1)
        y = self.narrow(self.squeeze(y)).permute(0, 3, 1, 2)
        return x + self.norms[2](y).permute(0, 2, 3, 1)


class EfficientVMamba(nn.Module):
    """Backbone: patches, an EVSS block, patch merging to twice the width, an inverted residual, norm, mean pool.

    Args:
        channels: Channels of the image.
        width: Width of the first stage.
        patch: Pixels of a patch's side.
        mode: "skip" for ES2D, "full" for SS2D.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(
        self,
        channels: int,
        width: int = WIDTH,
        patch: int = 3,
        mode: str = "skip",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.patch, self.out_dim = patch, 2 * width
        self.stem = _pointwise(channels * patch * patch, width, generator)
        self.stem_norm, self.merge_norm = nn.LayerNorm(width), nn.LayerNorm(4 * width)
        self.first = EVSSBlock(width, mode=mode, generator=generator)
        self.merge = plain_linear(4 * width, 2 * width, generator)
        self.second, self.norm = InvertedResidual(2 * width, generator), nn.LayerNorm(2 * width)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (B, channels, H, W) to features (B, 2 width); sides are padded to whole patches."""
        x = self._patches(image, self.patch)
        x = self.first(self.stem_norm(self.stem(x)))
        x = self.merge(self.merge_norm(self._patches(x.permute(0, 3, 1, 2), 2)))
        return self.norm(self.second(x)).mean(dim=(1, 2))

    @staticmethod
    def _patches(image: Tensor, side: int) -> Tensor:
        """Return the pixels of patches, (B, c, H, W) -> (B, ceil(H/side), ceil(W/side), c side^2)."""
        height, width = image.shape[2:]
        padded = nn.functional.pad(image, (0, -width % side, 0, -height % side))
        pieces = padded.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (B, c, h, side, w, side)
        return pieces.permute(0, 2, 4, 1, 3, 5).flatten(3)


class EfficientVMambaEncoder(Encoder):
    """A backbone for each image of the observation, followed by linear layers together with the other parts."""

    def __init__(self, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator):
        super().__init__()
        if not codec.images:
            raise UnsupportedSpaceError(
                "the efficient_vmamba encoder needs an image in the observation; use encoder='mlp' instead"
            )
        self.codec = codec
        self.backbones = nn.ModuleList(self._backbone(part, generator) for part in codec.images)
        width = codec.vector_dim + sum(backbone.out_dim for backbone in self.backbones)
        self.net = MLP(width, hidden or (64,), activation, generator)
        self.out_dim = self.net.out_dim

    @staticmethod
    def _backbone(part: Part, generator: torch.Generator) -> EfficientVMamba:
        height, width, channels = part.shape if part.channels_last else (*part.shape[1:], part.shape[0])
        return EfficientVMamba(channels, patch=3 if min(height, width) < SMALL else 4, generator=generator)

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        flat = x.reshape(-1, x.shape[-1])
        pairs = zip(self.backbones, self.codec.images, strict=True)
        pieces = [backbone(self.codec.image(flat, part)) for backbone, part in pairs]
        if self.codec.vector_dim:
            pieces.append(self.codec.vector(flat))
        return self.net(torch.cat(pieces, dim=-1)).reshape(*x.shape[:-1], -1)
