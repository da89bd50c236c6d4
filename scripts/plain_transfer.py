"""A typical hand-written training loop, for comparison: frozen MobileNet v2, new head, DataLoader with PIL, float32.

python scripts/plain_transfer.py PHOTOS WEIGHTS SPLIT EPOCHS

PHOTOS has images in CLASS/*.jpg; WEIGHTS has torchvision's parameter names; SPLIT is the split.json of a vision2 run, so that
both use the same images. Every epoch decodes every image and runs the whole network. Prints the test accuracy of the best
epoch.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

photos, weights, split_file, epochs = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
split = json.loads(split_file.read_text(encoding="utf-8"))
transform = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])  # fmt: skip


class Photos(Dataset):
    def __init__(self, part: str):
        self.ids, self.labels = split["splits"][part]["ids"], split["splits"][part]["labels"]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return transform(Image.open(photos / self.ids[index]).convert("RGB")), self.labels[index]


def accuracy(network: nn.Module, loader: DataLoader) -> float:
    network.eval()
    with torch.no_grad():
        right = sum(int((network(inputs).argmax(1) == labels).sum()) for inputs, labels in loader)
    return right / len(loader.dataset)


loaders = {
    part: DataLoader(Photos(part), batch_size=32, shuffle=part == "train", num_workers=2) for part in ("train", "val", "test")
}
torch.manual_seed(0)
network = models.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.requires_grad_(False)
network.classifier[1] = nn.Linear(network.last_channel, len(split["classes"]))
optimizer = torch.optim.Adam(network.classifier.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
best = (-1.0, {})
for _ in range(epochs):
    network.train()
    network.features.eval()  # otherwise the running statistics of the frozen batch norms would change
    for inputs, labels in loaders["train"]:
        loss = criterion(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    reached = accuracy(network, loaders["val"])
    if reached > best[0]:
        best = (reached, copy.deepcopy(network.state_dict()))
network.load_state_dict(best[1])
print(accuracy(network, loaders["test"]))
