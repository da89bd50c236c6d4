"""Typical hand-written fine-tuning, for comparison: DataLoader with PIL, float32, contiguous tensors, one epoch.

python scripts/hand_finetune.py PHOTOS WEIGHTS SPLIT SIZE

PHOTOS has images in CLASS/*.jpg; WEIGHTS has torchvision's parameter names; SPLIT is the split.json of a vision2 run, so that
both train on the same images; SIZE is in pixels. Prints the JSON line of `baseline.train_epoch`.
"""

from __future__ import annotations

import sys

import torch
from baseline import Photos, train_epoch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms

photos, weights, split, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
transform = transforms.Compose([
    transforms.RandomResizedCrop(size),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])  # fmt: skip
data = Photos(photos, split, "train", transform)
network = models.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.classifier[1] = nn.Linear(network.last_channel, len(data.classes))
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
train_epoch(network, DataLoader(data, batch_size=32, shuffle=True, num_workers=2), optimizer)
