"""A typical hand-written fine-tuning script, for comparison: DataLoader with PIL, float32, contiguous tensors, one epoch.

python scripts/hand_finetune.py PHOTOS WEIGHTS SPLIT SIZE

PHOTOS has images in CLASS/*.jpg; WEIGHTS has torchvision's parameter names; SPLIT is the split.json of a vision2 run, so that
both train on the same images; SIZE is in pixels. Prints one JSON line, see `bench_baselines.py`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

photos, weights, split_file, size = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
split = json.loads(split_file.read_text(encoding="utf-8"))
transform = transforms.Compose([
    transforms.RandomResizedCrop(size),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])  # fmt: skip


class Photos(Dataset):
    def __len__(self) -> int:
        return len(split["splits"]["train"]["ids"])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        part = split["splits"]["train"]
        return transform(Image.open(photos / part["ids"][index]).convert("RGB")), part["labels"][index]


loader = DataLoader(Photos(), batch_size=32, shuffle=True, num_workers=2)
network = models.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.classifier[1] = nn.Linear(network.last_channel, len(split["classes"]))
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
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
