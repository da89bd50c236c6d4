"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 20 drawings of each of 1,623 characters of 50 alphabets.

As in the papers on few-shot learning (Vinyals et al. 2016, section 4.1), images are scaled to 28 px and the rotations of a
training character are new classes. Ink stays black on white, as in the files, so that a checkpoint can classify files, too.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.basics.threads import map_ahead, usable_cpus
from vision2.data.collection import Collection, collect
from vision2.data.files.decode import BadImage, decode_entry
from vision2.data.files.download import Published, download_folder, obtain
from vision2.data.files.listing import FileEntry, list_place
from vision2.data.files.locations import cache_root

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

SIZE_PX = 28
BACKGROUND, EVALUATION = "images_background", "images_evaluation"  # Lake's division of the alphabets: 30 and 20
ADDRESS = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
ARCHIVES = tuple(
    Published(f"{part}.zip", (f"{ADDRESS}/{part}.zip",), size_bytes=size, md5=md5)
    for part, size, md5 in (
        (BACKGROUND, 9_464_212, "68d2efa1b9178cc56df9314c21c6e718"),
        (EVALUATION, 6_462_886, "6b91aef0f799c5bb55b94e3f2daec811"),
    )
)
VALIDATION_EVERY = 6  # every sixth background alphabet is for validation, whatever the seed: 5 of 30
TURNS = (0, 1, 2, 3)  # quarter turns, counter-clockwise


def find(config: DatasetConfig) -> Collection:
    """Training characters in four rotations, validation and test characters upright, in memory as RGB.

    Raises:
        UserError: when a part is missing and may not or cannot be downloaded.
    """
    import torch

    from vision2.data.store.image_sources import TensorImages

    upright = find_files(config)
    grey = torch.from_numpy(_pixels(upright.files, config))
    trained = np.flatnonzero(upright.parts == "train")
    rows = np.concatenate([np.arange(len(upright)), *(trained for _ in TURNS[1:])])
    turns = np.repeat(TURNS, [len(upright), *(len(trained) for _ in TURNS[1:])])
    turned = torch.cat([torch.rot90(grey[torch.from_numpy(rows[turns == turn])], turn, (1, 2)) for turn in TURNS])
    names = [f"{upright.classes[upright.labels[row]]}{_turned(turn)}" for row, turn in zip(rows, turns, strict=True)]
    found = collect([upright.files[row] for row in rows], names, upright.parts[rows].tolist(), notes=upright.notes)
    ids = tuple(f"{upright.ids[row]}{_turned(turn)}" for row, turn in zip(rows, turns, strict=True))
    content = hashlib.blake2b(grey.numpy(), digest_size=16).hexdigest()
    images = TensorImages(turned[:, None].expand(-1, 3, -1, -1))
    return replace(found, ids=ids, images=images, content=content)


def find_files(config: DatasetConfig) -> Collection:
    """The drawings as files, without rotations; the audit reads these."""
    place = download_folder(config)
    if _part(place, BACKGROUND) is None or _part(place, EVALUATION) is None:
        remedy = (
            f"set dataset.root=FOLDER to the folder that holds {BACKGROUND}/ and {EVALUATION}/, or dataset.download=true"
            " (15 MiB)"
        )
        obtain(config, ARCHIVES, place, allowed=config.download and config.root is None, remedy=remedy)
    background, evaluation = (_characters(_part(place, name), name) for name in (BACKGROUND, EVALUATION))
    alphabets = sorted({entry.id.split("/")[1] for entry in background})
    if len(alphabets) < 2:
        raise UserError(f"dataset=omniglot: {place / BACKGROUND} holds {len(alphabets)} alphabets; at least two are needed")
    validation = set(alphabets[VALIDATION_EVERY - 1 :: VALIDATION_EVERY] or alphabets[-1:])
    parts = ["val" if entry.id.split("/")[1] in validation else "train" for entry in background]
    files, labels = [*background, *evaluation], ["/".join(entry.id.split("/")[1:3]) for entry in [*background, *evaluation]]
    notes = {"layout": "Omniglot", "validation_alphabets": sorted(validation)}
    return collect(files, labels, [*parts, *("test" for _ in evaluation)], notes=notes)


def _part(place: Path, name: str) -> Path | None:
    """The folder or zip of one part, in `place` or where torchvision downloads it."""
    candidates = [folder / f"{name}{suffix}" for folder in (place, place / "omniglot-py") for suffix in ("", ".zip")]
    return next((path for path in candidates if path.exists()), None)


def _characters(part: Path, name: str) -> list[FileEntry]:
    """The drawings in ALPHABET/CHARACTER/*.png, with ids that begin with the name of the part."""
    found = []
    for entry in list_place(part).images:
        path = entry.id.removeprefix(f"{name}/")  # the zip holds the folder
        if path.count("/") != 2:
            raise UserError(f"dataset=omniglot: {part} holds {entry.id}, which is not ALPHABET/CHARACTER/NAME.png")
        found.append(FileEntry(entry.path, f"{name}/{path}", entry.member))
    if not found:
        raise UserError(f"dataset=omniglot: {part} holds no images; unpack {name}.zip there again")
    return found


def _turned(turn: int) -> str:
    return f"/rotated_{90 * turn}" if turn else ""


def _pixels(files: tuple[FileEntry, ...], config: DatasetConfig) -> np.ndarray:
    """(N, 28, 28) uint8; decoded once and kept in the cache, because decoding 32,460 files takes seconds."""
    if config.cache != "disk":
        return _decoded(files)
    listed = "\n".join(f"{entry.id} {entry.size_bytes()}" for entry in files)
    key = hashlib.blake2b(listed.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    path = cache_root(config.cache_dir) / "omniglot" / f"{SIZE_PX}px-{key}.npy"
    if path.is_file():
        return np.load(path, allow_pickle=False)
    pixels = _decoded(files)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, pixels, allow_pickle=False)
    return pixels


def _decoded(files: tuple[FileEntry, ...]) -> np.ndarray:
    from PIL import Image

    def decode(entry: FileEntry) -> np.ndarray:
        try:
            large = Image.fromarray(decode_entry(entry)).convert("L")
        except BadImage as error:
            raise UserError(f"dataset=omniglot: {entry.id} cannot be decoded ({error}); unpack the archive again") from error
        return np.asarray(large.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS))  # antialiased, as in Finn et al.

    threads = usable_cpus()
    return np.stack(list(map_ahead(decode, files, threads=threads, ahead=64 * threads, name="decode")))
