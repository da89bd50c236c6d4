"""The pass of a network that is only evaluated: through the engine that is fastest here and gives the same features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vision2.features.engine import PAYS_FROM_IMAGES, Cut, onnx_engine
from vision2.features.settings import wanted_engine
from vision2.models.cut import layer_outputs
from vision2.models.fusing import fused_copy
from vision2.models.network import Network, Output


class QuickPass:
    """Maps batches (N, 3, H, W) to outputs like `network`, up to rounding; `count` images are expected in all.

    On a CPU, the first batch decides between onnxruntime and torch with folded batch normalisations; a few images, and
    those on a GPU, go through the network itself.
    """

    def __init__(self, network: Network, count: int):
        self.network, self.count = network.eval(), count
        self._wanted = wanted_engine()
        self._features: Callable[[Tensor], Tensor] | None = None

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Output:
        if self._features is None:
            self._features = self._chosen(images)
        return self.network.classify(self._features(images))

    def _chosen(self, images: Tensor) -> Callable[[Tensor], Tensor]:
        network, layers, pooling = self.network, [self.network.layer], self.network.pooling
        if images.device.type != "cpu" or images.dtype != torch.float32:
            return network.features
        engine = onnx_engine(Cut(network, layers, pooling), images, self.count, file=None, wanted=self._wanted)
        if engine is not None:
            return lambda images: engine(images)[0]
        if self.count < PAYS_FROM_IMAGES:
            return network.features
        fused = fused_copy(network, layers, images[:2], pooling)
        return lambda images: layer_outputs(fused, layers, images, pooling)[0]
