"""The same fine-tuning epoch with timm's loader, network and optimizer, put together as in its own training script.

python scripts/timm_finetune.py PHOTOS SPLIT SIZE

The package does not contain timm's `train.py`; this follows its recipe for one process on a CPU. PHOTOS has images in
CLASS/*.jpg; SPLIT is the split.json of a vision2 run. The weights are random, since only time is measured. Prints the JSON
line of `baseline.train_epoch`.
"""

from __future__ import annotations

import sys

import timm
import torch
from baseline import Photos, train_epoch
from timm.data import create_loader
from timm.optim import create_optimizer_v2

photos, split, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = Photos(photos, split, "train")  # create_loader sets the transform
network = timm.create_model("mobilenetv2_100", num_classes=len(data.classes))
optimizer = create_optimizer_v2(network, opt="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4)
loader = create_loader(
    data, (3, size, size), batch_size=32, is_training=True, color_jitter=None, num_workers=2, use_prefetcher=False,
    device=torch.device("cpu"),
)  # fmt: skip
train_epoch(network, loader, optimizer)
