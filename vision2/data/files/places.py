"""What dataset.root may be: a folder, a zip (read in place), a tar of any compression (unpacked once), or a CSV list."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.data.files import csv_list
from vision2.data.files.archives import unpack
from vision2.data.files.formats import HEAD_BYTES
from vision2.data.files.listing import Listing, list_place
from vision2.data.files.locations import cache_root, existing_path, explaining_permissions
from vision2.data.files.unused import describe_unused

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

ZIP_EXTENSION = ".zip"
TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHER_ARCHIVES = {  # first bytes: (name, how to unpack)
    b"\x28\xb5\x2f\xfd": ("zstd", "tar --zstd -xf FILE"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x FILE"),
    b"Rar!\x1a\x07": ("RAR", "unrar x FILE"),
}


def open_place(given: str | Path, config: DatasetConfig) -> Path:
    """The folder, zip or CSV list at `given`; for a tar, the folder in the cache into which it is unpacked.

    Raises:
        UserError: for a place that does not exist or cannot be read, or a file of any other kind.
    """
    place = existing_path(given, "dataset.root")
    with explaining_permissions("dataset.root"):
        return _opened(place, config)


def _opened(place: Path, config: DatasetConfig) -> Path:
    if place.is_dir() or is_list(place) or is_zip(place):
        return place
    if place.name.lower().endswith(TAR_EXTENSIONS) or _is_tar(place):
        return _unpacked(place, config.cache_dir)
    with place.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    for signature, (name, command) in OTHER_ARCHIVES.items():
        if head.startswith(signature):
            command = command.replace("FILE", place.name)
            raise UserError(f"dataset.root: {place} is a {name} archive: unpack it with `{command}` and give the folder")
    raise UserError(
        f"dataset.root: {place} is not a folder, a .zip, a .tar (.gz, .bz2, .xz) or a CSV list "
        f"({', '.join(csv_list.EXTENSIONS)}): give one of these"
    )


def is_list(place: Path) -> bool:
    return place.suffix.lower() in csv_list.EXTENSIONS


def is_zip(place: Path) -> bool:
    return place.suffix.lower() == ZIP_EXTENSION or zipfile.is_zipfile(place)


def _is_tar(place: Path) -> bool:
    try:
        return tarfile.is_tarfile(place)
    except OSError:
        return False


def images_below(root: Path, config: DatasetConfig) -> Listing:
    """`list_place`, refusing a place without images.

    Raises:
        UserError: when there are no images, naming archives that are still packed, or what else is there.
    """
    listing = list_place(root, config.zip_encoding)
    if listing.images:
        return listing
    packed = sorted(path.name for path in root.iterdir() if is_archive_name(path.name)) if root.is_dir() else []
    if packed:
        hint = f", only {', '.join(packed[:3])}: give that file as dataset.root"
    else:
        unused = describe_unused(listing.notes.get("unused", ()))
        hint = (f", only {unused}" if unused else "") + "; set it to a place that holds images"
    raise UserError(f"dataset.root: no images found below {root}{hint}")


def is_archive_name(name: str) -> bool:
    return name.lower().endswith((ZIP_EXTENSION, *TAR_EXTENSIONS))


def _unpacked(archive: Path, cache_dir: str | None) -> Path:
    """Unpack a tar once, into a folder of the cache named after its path, size and modification time."""
    state = archive.stat()
    key = hashlib.blake2b(f"{archive.absolute()} {state.st_size} {state.st_mtime_ns}".encode(), digest_size=8).hexdigest()
    folder = cache_root(cache_dir) / "unpacked" / f"{archive.name.split('.')[0]}-{key}"
    if folder.is_dir():
        return folder
    building = folder.with_name(f".{folder.name}.{os.getpid()}.building")
    print(f"unpacking {archive} into {folder}", file=sys.stderr, flush=True)
    try:
        unpack(archive, building)
        if not folder.is_dir():  # another process may have been faster
            building.rename(folder)
    except OSError as error:
        raise UserError(
            f"cannot unpack {archive} into {folder}: {error.strerror or error}; set dataset.cache_dir to a writable folder "
            "with enough space, or unpack it yourself and give the folder"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder
