"""A typical hand-written feature extraction, for comparison: MobileNet v2, DataLoader with PIL, then logistic regression.

python scripts/hand_features.py PHOTOS WEIGHTS SPLIT

PHOTOS has images in CLASS/*.jpg; WEIGHTS has torchvision's parameter names; SPLIT is the split.json of a vision2 run, so that
both use the same images. Prints one JSON line with the test accuracy.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from baseline import Photos
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms

photos, weights, split = sys.argv[1:4]
transform = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])  # fmt: skip


def features(part: str) -> tuple[np.ndarray, np.ndarray]:
    loader = DataLoader(Photos(photos, split, part, transform), batch_size=32, num_workers=2)
    with torch.no_grad():
        found = [(network(inputs).numpy(), labels.numpy()) for inputs, labels in loader]
    return np.concatenate([rows for rows, _ in found]), np.concatenate([labels for _, labels in found])


network = models.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.classifier = nn.Identity()
network.eval()
parts = {part: features(part) for part in ("train", "val", "test")}
candidates = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)) for c in (0.001, 0.01, 0.1, 1.0)]
best = max((model.fit(*parts["train"]) for model in candidates), key=lambda model: model.score(*parts["val"]))
print(json.dumps({"accuracy": best.score(*parts["test"])}))
