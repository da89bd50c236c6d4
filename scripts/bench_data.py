"""Speed and memory from files to batches, each compared with a baseline measured back to back.

python scripts/bench_data.py [photos=FOLDER] [pairs=3] [images=25000]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; without it, images are generated. images=N: the number of images for the memory
measurement; 25,000 photographs need 7 GB of disk space for a few minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from bench_photos import make_photos
from bench_rows import say, spread
from PIL import Image
from torch import nn

from vision2.basics.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from vision2.data.batches import Batches
from vision2.data.files.decode import BadImage, decode_entry
from vision2.data.files.listing import FileEntry, list_images
from vision2.data.settings import AugmentConfig, DatasetConfig
from vision2.data.store.store import open_store
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.training.precision import autocast, choose_precision

BATCH_SIZE = 32
STEPS = 10
LOOK = Preprocessing(image_size_px=224, resize_px=256)
CPU = torch.device("cpu")


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    pairs = int(options.get("pairs", 3))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(options.get("photos") or make_photos(Path(folder) / "photos"))
        decoding_vs_pillow(list_images(photos), pairs)
        split = stored(list_images(photos), Path(folder) / "cache")
        reading_vs_pillow(split, photos, pairs)
        training_vs_bare_steps(split, pairs)
        memory_of_a_large_store(list_images(photos), int(options.get("images", 25_000)), Path(folder))


def decoding_vs_pillow(files: list[FileEntry], pairs: int, images: int = 200) -> None:
    """Compare images per second of processor time, on one thread: decoding for a store, and opening and resizing in Pillow."""

    def by_pillow(entry: FileEntry, shorter_side_px: int) -> np.ndarray:
        with Image.open(entry.path) as image:
            scale = min(1, shorter_side_px / min(image.size))
            size = (round(image.width * scale), round(image.height * scale))
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))

    chosen = [files[index] for index in np.random.default_rng(0).permutation(len(files))[:images]]
    for image_px, store_px in ((224, 256), (96, 110), (32, 37)):
        measured = [[seconds_to_decode(chosen, way, store_px) for way in (by_pillow, decode_entry)] for _ in range(pairs)]
        theirs, ours = (len(chosen) / min(column) for column in zip(*measured, strict=True))
        what = f"decoding photographs for training at {image_px} px, images/s/core: ours / Pillow ({ours:.0f} and {theirs:.0f})"
        say(what, spread([pillow / vision2 for pillow, vision2 in measured]))


def seconds_to_decode(files: list[FileEntry], decode: Callable, shorter_side_px: int) -> float:
    """Seconds of processor time; a file that cannot be decoded takes its time too."""
    start = time.process_time()
    for entry in files:
        with suppress(BadImage, OSError):
            decode(entry, shorter_side_px)
    return time.process_time() - start


def stored(files: list[FileEntry], cache: Path) -> SimpleNamespace:
    config = DatasetConfig("folder", cache_dir=str(cache), cache_gb=100.0, max_bad_share=0.1)
    images, bad, _ = open_store(files, config, store_px=256)
    good = np.setdiff1d(np.arange(len(files)), list(bad))
    return SimpleNamespace(labels=np.arange(len(good)) % 2, images=images.select(good))


def training_batches(split: SimpleNamespace, workers: int | None) -> Batches:
    """Batches with random resized crops, flips and normalisation: the defaults for photographs."""
    augment = AugmentConfig()
    return Batches(
        split, LOOK, batch_size=BATCH_SIZE, device=CPU, num_classes=2, seed=0, augment=augment, shuffle=True, workers=workers
    )  # fmt: skip


def reading_vs_pillow(split: SimpleNamespace, photos: Path, pairs: int, images: int = 320) -> None:
    """Compare images per second of processor time, on one thread: the warm store and decoding in a DataLoader."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    transform = transforms.Compose([
        transforms.RandomResizedCrop(224, scale=(AugmentConfig().crop_scale_min, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ])  # fmt: skip
    data = datasets.ImageFolder(photos, transform)
    chosen = np.random.default_rng(0).permutation(min(len(data), len(split.labels)))[:images]
    loader = DataLoader(Subset(data, chosen.tolist()), batch_size=BATCH_SIZE)
    part = SimpleNamespace(labels=split.labels[chosen], images=split.images.select(chosen))
    batches = training_batches(part, workers=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    processor_seconds(batches.epoch(1)), processor_seconds(loader)
    measured = [(processor_seconds(loader), processor_seconds(batches.epoch(pair))) for pair in range(pairs)]
    torch.set_num_threads(threads)
    rate = images / min(ours for _, ours in measured)
    ratios = [theirs / ours for theirs, ours in measured]
    say(
        f"reading 224 px crops from the store ({rate:.0f} img/s/core) / DataLoader with PIL",
        spread(ratios),
        "at least 4",
    )


def processor_seconds(batches) -> float:
    start = time.process_time()
    for _ in batches:
        pass
    return time.process_time() - start


def training_vs_bare_steps(split: SimpleNamespace, pairs: int) -> None:
    """MobileNet v2 at 224 px: compare training from the warm store with steps on one batch in memory."""
    step = mobilenet_step()
    batches = training_batches(split, workers=None)
    in_memory = next(batches.epoch(1))
    timed(step, [in_memory] * 2)
    ratios, waits = [], []
    for pair in range(pairs):
        bare = timed(step, [in_memory] * STEPS)
        with_data = timed(step, (batch for batch, _ in zip(batches.epoch(pair), range(STEPS), strict=False)))
        ratios.append(bare / with_data)
        waits.append(batches.wait_seconds / with_data)
    rate = STEPS * BATCH_SIZE / bare
    say(f"mobilenet_v2 training from the store, 224 px / bare steps ({rate:.1f} img/s)", spread(ratios), "at least 0.93")
    say("share of training time spent waiting for data", spread(waits), "at most 0.05")


def mobilenet_step():
    """A function that takes one training step of MobileNet v2, in the precision that `train.precision=auto` chooses."""
    network = build_model(ModelConfig("mobilenet_v2"), 2, seed=0).to(memory_format=torch.channels_last).train()
    precision = choose_precision("auto", network, CPU, LOOK.image_size_px)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    criterion = nn.CrossEntropyLoss()

    def step(batch) -> None:
        network.train()
        with autocast(CPU, precision):
            logits = network(batch.images).logits
        criterion(logits.float(), batch.targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def timed(step, batches) -> float:
    start = time.perf_counter()
    for batch in batches:
        step(batch)
    return time.perf_counter() - start


def memory_of_a_large_store(photos: list[FileEntry], images: int, folder: Path) -> None:
    """Measure the private memory that reading adds to that of the training step."""
    free = shutil.disk_usage(folder).free
    needed = images * 300_000
    if free < 1.2 * needed:
        say(f"memory with {images:,} images", "skipped", f"needs {needed / 1e9:.0f} GB of disk; type a smaller images=N")
        return
    files = []
    for index in range(images):
        link = folder / "many" / str(index % 100) / f"{index}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(photos[index % len(photos)].path).absolute())
        files.append(FileEntry(str(link), link.name))
    start = time.perf_counter()
    split = stored(files, folder / "cache")
    say(f"decoding {images:,} images into a store, images/s", f"{images / (time.perf_counter() - start):.0f}", "")
    step, batches = mobilenet_step(), training_batches(split, workers=None)
    in_memory = next(batches.epoch(1))
    timed(step, [in_memory] * 3)
    before, peak = private_bytes(), 0
    for number, batch in enumerate(batches.epoch(1)):
        if number % 100 == 0:
            step(batch)
        peak = max(peak, private_bytes())
    say(f"private memory that an epoch over {images:,} images adds, MB", f"{(peak - before) / 1e6:.0f}", "under 1500")


def private_bytes() -> int:
    """Bytes in memory that belong to no file; pages of a mapped store do not count, because the system can drop them."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    torch.set_num_threads(os.cpu_count() or 1)
    main()
