"""The three networks: a lung U-Net, a ResNet-50 slice classifier whose head is its own heat map, and a decoder that
outlines opacities from the classifier's features."""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere in torch
from torch import Tensor, nn

from analysis.pipeline.torchvision_import import resnet50

LUNG_INPUT = 192  # pixels: input side of the lung U-Net
SLICE_INPUT = 224  # pixels: input side of the slice classifier (Gozes et al. 2020, section 2)
MAP_STRIDE = 8  # input pixels per cell of the classifier's map: layer2 of ResNet-50

# Gozes et al. 2020, section 2, clip at 0 HU; consolidation at the chest wall is told from muscle only above.
LUNG_WINDOW_HU = (-1000.0, 200.0)
SLICE_WINDOW_HU = (-1000.0, 200.0)  # keeps air, ground-glass, consolidation and soft tissue apart

# Keras Applications' ResNet-50, whose weights start the training: BGR, 0–255, minus these means.
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
_IMAGENET_BATCHNORM_EPS = 1.001e-5


def has_bfloat16(device: torch.device) -> bool:
    """Whether the machine computes with bfloat16 faster than with float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic of torch where the machine has it, else none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def window(hu: Tensor, window_hu: tuple[float, float]) -> Tensor:
    """Scale HU linearly so that the window becomes [0, 1], clipping outside."""
    low, high = window_hu
    return ((hu - low) / (high - low)).clamp(0, 1)


def _conv(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


class _DoubleConv(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(*_conv(channels_in, channels_out), *_conv(channels_out, channels_out))


class LungUNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) for lung against the rest, 0.8 M parameters.

    The image enters as 2×2 blocks of pixels at half the resolution and the logits leave the same way: a third of
    the time of a full-resolution first level. Input: float32 (N, 1, 192, 192), HU scaled by ``LUNG_WINDOW_HU``.
    Output: float32 logits of the same shape.
    """

    input_format = f"{LUNG_INPUT} pixels, {LUNG_WINDOW_HU[0]:g} to {LUNG_WINDOW_HU[1]:g} HU"

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 128)) -> None:
        super().__init__()
        self.down = nn.ModuleList(_DoubleConv(a, b) for a, b in zip((4, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(
            _DoubleConv(deep + skip, skip) for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = F.pixel_unshuffle(image, 2)  # (N, 4, 96, 96)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)  # 24×96², 48×48², 96×24², 128×12²
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([_doubled(x), skip], dim=1))
        return F.pixel_shuffle(self.head(x), 2)  # (N, 1, 192, 192)


class Features(NamedTuple):
    """What the slice classifier sees in images, float32."""

    stem: Tensor  # (N, 64, 112, 112)
    layer1: Tensor  # (N, 256, 56, 56)
    layer2: Tensor  # (N, 512, 28, 28)
    layer3: Tensor  # (N, 1024, 14, 14)


class SliceClassifier(nn.Module):
    """ResNet-50 cut after layer3, with a linear head at every location of layer2 ⊕ upsampled layer3.

    The head gives one logit per 8×8-pixel cell, for the share of its lung that is opaque; their log-mean-exp over the
    lung's cells (Pinheiro and Collobert 2015), scaled and shifted, is the slice's logit. Since the head is linear and
    the pooling weights sum to one, the gradient of the slice's logit, averaged over locations, is the head's weight
    vector times one constant: Grad-CAM (Selvaraju et al. 2017, section 3 and its proof that it generalises CAM)
    reduces to CAM, and the map costs no backward pass. The two scales, 28×28 (layer2) and 14×14 (layer3), are those
    of Gozes et al. 2020, added as logits instead of multiplied after a scaling per slice, so that one fixed scale
    (the sigmoid) serves all slices.
    """

    input_format = f"{SLICE_INPUT} pixels, {SLICE_WINDOW_HU[0]:g} to {SLICE_WINDOW_HU[1]:g} HU"
    mean_bgr: Tensor

    def __init__(self) -> None:
        super().__init__()
        backbone = resnet50(weights=None)
        for stage in (backbone.layer2, backbone.layer3):
            # The ImageNet weights are of ResNet v1, which strides in the first 1×1 convolution.
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _IMAGENET_BATCHNORM_EPS
        self.conv1, self.bn1 = backbone.conv1, backbone.bn1
        self.layer1, self.layer2, self.layer3 = backbone.layer1, backbone.layer2, backbone.layer3
        self.head2 = nn.Conv2d(512, 1, 1)
        self.head3 = nn.Conv2d(1024, 1, 1, bias=False)
        self.slice_scale = nn.Parameter(torch.ones(1))
        self.slice_bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean_bgr", torch.tensor(_IMAGENET_MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def features(self, image: Tensor) -> Features:
        """Image float32 (N, 1, 224, 224), HU scaled by ``SLICE_WINDOW_HU``. Training leaves stem and layer1 as ImageNet
        made them."""
        x = image.expand(-1, 3, -1, -1) * 255 - self.mean_bgr  # (N, 3, 224, 224)
        stem = F.relu(self.bn1(self.conv1(x)))
        layer1 = self.layer1(F.max_pool2d(stem, 3, 2, 1))
        layer2 = self.layer2(layer1)
        return Features(stem, layer1, layer2, self.layer3(layer2))

    def classify(self, layer2: Tensor, layer3: Tensor, lung: Tensor) -> tuple[Tensor, Tensor]:
        """The head. ``lung``: float32 (N, 1, 28, 28), the share of each cell that is lung.

        Returns the slice's logit (N,) and the location logits (N, 1, 28, 28).
        """
        locations = self.head2(layer2) + _doubled(self.head3(layer3))
        return self.slice_scale * pool(locations, lung) + self.slice_bias, locations

    def forward(self, image: Tensor, lung: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(image)
        return self.classify(features.layer2, features.layer3, lung)


class OpacityDecoder(nn.Module):
    """Outlines opacities from the image and what the slice classifier saw in it: the way up of a U-Net whose way down
    is the classifier, 0.45 M parameters.

    Returns logits of opacity, float32 (N, 1, 224, 224).
    """

    input_format = SliceClassifier.input_format

    def __init__(self) -> None:
        super().__init__()
        self.of_stem, self.of_layer1 = nn.Conv2d(64, 32, 1), nn.Conv2d(256, 64, 1)
        self.of_layer2, self.of_layer3 = nn.Conv2d(512, 96, 1), nn.Conv2d(1024, 96, 1)
        self.up2 = _conv(96 + 96, 96)
        self.up1 = _conv(96 + 64, 64)
        self.up0 = _conv(64 + 32 + 4, 32)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, image: Tensor, features: Features) -> Tensor:
        x = self.up2(torch.cat([_doubled(self.of_layer3(features.layer3)), self.of_layer2(features.layer2)], 1))
        x = self.up1(torch.cat([_doubled(x), self.of_layer1(features.layer1)], 1))  # (N, 64, 56, 56)
        x = self.up0(torch.cat([_doubled(x), self.of_stem(features.stem), F.pixel_unshuffle(image, 2)], 1))
        return F.pixel_shuffle(self.head(x), 2)  # (N, 4, 112, 112) to (N, 1, 224, 224)


class SliceNetworks(nn.Module):
    """Classifier without its head, whose sums stay in float32, and decoder as one network of the image.

    Returns layer2, layer3 and the logits of opacity.
    """

    def __init__(self, classifier: SliceClassifier, decoder: OpacityDecoder) -> None:
        super().__init__()
        self.classifier, self.decoder = classifier, decoder

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.classifier.features(image)
        return features.layer2, features.layer3, self.decoder(image, features)


def pool(locations: Tensor, lung: Tensor) -> Tensor:
    """Log-mean-exp of location logits (N, 1, h, w) over the lung (N, 1, h, w in [0, 1]); returns (N,)."""
    weight = lung.clamp_min(1e-12)  # a slice without lung still gets a finite logit
    return torch.logsumexp((locations + weight.log()).flatten(1), 1) - weight.flatten(1).sum(1).log()
