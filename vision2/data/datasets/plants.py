"""Plants: Oxford Flowers-102 (Nilsback & Zisserman 2008) by default, or your own tree of class folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vision2.data.collection import Collection, collect
from vision2.data.files.download import download_folder, mirrored, obtain
from vision2.data.files.layouts import read_layout
from vision2.data.files.listing import FileEntry, list_images

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

FLOWERS = mirrored(
    ("https://www.robots.ox.ac.uk/~vgg/data/flowers/102", "https://thor.robots.ox.ac.uk/flowers/102"),
    ("102flowers.tgz", 344_862_509, "52808999861908f626f3c1f4e79d11fa"),
    ("imagelabels.mat", 502, "e0620be6f572b9609742df49c70aed4d"),
    ("setid.mat", 14_989, "a5357ecc9cb78c4bef273ce3793fc85c"),
)
PARTS_OF_FLOWERS = {"trnid": "train", "valid": "val", "tstid": "test"}


def find(config: DatasetConfig) -> Collection:
    """Your own images if `dataset.root` holds class folders, else Flowers-102 with its official splits.

    Raises:
        UserError: when Flowers-102 is missing and may not or cannot be downloaded.
    """
    place = download_folder(config)
    flowers = place / "flowers-102"
    if config.root is not None and config.source is None and not flowers.is_dir():
        return read_layout(place, config)
    if not all((flowers / name).exists() for name in ("jpg", "imagelabels.mat", "setid.mat")):
        remedy = "set dataset.root=FOLDER to a folder of class folders, or dataset.download=true (Flowers-102, 329 MiB)"
        obtain(config, FLOWERS, flowers, allowed=config.download, remedy=remedy)
    return _read_flowers(flowers)


def _read_flowers(folder: Path) -> Collection:
    """1,020 training, 1,020 validation and 6,149 test images of 102 species."""
    from scipy.io import loadmat
    from torchvision.datasets import Flowers102

    species = loadmat(folder / "imagelabels.mat", squeeze_me=True)["labels"]
    sets = loadmat(folder / "setid.mat", squeeze_me=True)
    part_of = {int(number): part for key, part in PARTS_OF_FLOWERS.items() for number in sets[key]}
    files, labels, parts = [], [], []
    for entry in list_images(folder / "jpg"):
        number = int(Path(entry.path).stem.removeprefix("image_"))
        files.append(FileEntry(entry.path, f"jpg/{entry.id}"))
        labels.append(Flowers102.classes[int(species[number - 1]) - 1])
        parts.append(part_of[number])
    return collect(files, labels, parts, notes={"layout": "Flowers-102, official splits"})
