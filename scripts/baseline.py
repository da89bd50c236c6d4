"""What the baselines of `make bench` share: the photographs of a split, read with PIL, and the usual training loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset


class Photos(Dataset):
    """One part of the split in a vision2 run's split.json: (transformed image, label) by index."""

    def __init__(self, folder: str, split_file: str, part: str, transform: Callable | None = None):
        split = json.loads(Path(split_file).read_text(encoding="utf-8"))
        self.folder, self.transform, self.classes = Path(folder), transform, split["classes"]
        self.ids, self.labels = split["splits"][part]["ids"], split["splits"][part]["labels"]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.folder / self.ids[index]).convert("RGB")), self.labels[index]


def train_epoch(network: nn.Module, loader: Iterable, optimizer: torch.optim.Optimizer) -> None:
    """Train for one epoch, and print one JSON line: images per second, and the Unix time at which the first step was done."""
    criterion = nn.CrossEntropyLoss()
    network.train()
    images, first_step, start = 0, None, time.perf_counter()
    for inputs, labels in loader:
        loss = criterion(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        images += len(labels)
        first_step = first_step or time.time()
    print(json.dumps({"images_per_second": images / (time.perf_counter() - start), "first_step": first_step}))
