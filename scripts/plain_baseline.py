"""A typical hand-written training script, for comparison: DataLoader with PIL, float32, contiguous tensors, one epoch.

python scripts/plain_baseline.py FOLDER BATCH_SIZE      (FOLDER/CLASS/*.jpg; prints images per second)
"""

from __future__ import annotations

import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms

folder, batch_size = sys.argv[1], int(sys.argv[2])
transform = transforms.Compose([
    transforms.RandomResizedCrop(224),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])  # fmt: skip
data = datasets.ImageFolder(folder, transform)
loader = DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=2, drop_last=True)
network = models.resnet18(num_classes=len(data.classes))
optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
criterion = nn.CrossEntropyLoss()
network.train()
images, start = 0, time.perf_counter()
for inputs, labels in loader:
    loss = criterion(network(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    images += len(labels)
print(images / (time.perf_counter() - start))
