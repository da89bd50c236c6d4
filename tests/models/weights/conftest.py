from __future__ import annotations

import pytest
from weight_files import RESNET20

from vision2.models.build import build_model


@pytest.fixture(scope="module")
def resnet20():
    network = build_model(RESNET20, 10, seed=1)
    network.backbone.bn1.running_mean.fill_(0.25)
    return network
