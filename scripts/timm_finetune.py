"""The same fine-tuning epoch with timm's loader, network and optimizer, put together as in its own training script.

python scripts/timm_finetune.py PHOTOS SPLIT SIZE

The package does not contain timm's `train.py`; this follows its recipe for one process on a CPU. PHOTOS has images in
CLASS/*.jpg; SPLIT is the split.json of a vision2 run. The weights are random, since only time is measured. Prints one JSON
line, see `bench_baselines.py`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import timm
import torch
from PIL import Image
from timm.data import create_loader
from timm.optim import create_optimizer_v2
from torch import nn
from torch.utils.data import Dataset

photos, split_file, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
split = json.loads(split_file.read_text(encoding="utf-8"))


class Photos(Dataset):
    transform = None  # set by timm's create_loader

    def __len__(self) -> int:
        return len(split["splits"]["train"]["ids"])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        part = split["splits"]["train"]
        return self.transform(Image.open(photos / part["ids"][index]).convert("RGB")), part["labels"][index]


cpu = torch.device("cpu")
network = timm.create_model("mobilenetv2_100", num_classes=len(split["classes"]))
optimizer = create_optimizer_v2(network, opt="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4)
loader = create_loader(
    Photos(),
    (3, size, size),
    batch_size=32,
    is_training=True,
    color_jitter=None,
    num_workers=2,
    use_prefetcher=False,
    device=cpu,
)
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
