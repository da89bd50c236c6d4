"""A typical hand-written CIFAR epoch, for comparison: ResNet-20 on 32 px images in memory, DataLoader, transforms one by one.

python scripts/hand_cifar.py IMAGES     (prints the JSON line of `baseline.train_epoch`)
"""

from __future__ import annotations

import sys

import torch
from baseline import train_epoch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vision2.models.build import build_model
from vision2.models.settings import ModelConfig

pixels = torch.randint(0, 256, (int(sys.argv[1]), 3, 32, 32), dtype=torch.uint8)
transform = transforms.Compose([
    transforms.ToPILImage(),
    transforms.RandomCrop(32, padding=4),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
])  # fmt: skip


class Images(Dataset):
    def __len__(self) -> int:
        return len(pixels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return transform(pixels[index]), index % 10


class Logits(nn.Sequential):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).logits


network = Logits(build_model(ModelConfig("resnet20"), 10, seed=0))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
train_epoch(network, DataLoader(Images(), batch_size=128, shuffle=True, num_workers=2), optimizer)
