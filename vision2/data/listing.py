"""Finding image files in a folder or a zip, in an order that does not depend on the file system."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vision2.basics.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})
HIDDEN_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir"})


@dataclass(frozen=True, order=True)
class FileEntry:
    """One image: a file of its own, or `member` of the zip at `path`.

    `id` is the path below the data set's root with forward slashes: the same on every machine.
    """

    path: Path
    id: str
    member: str | None = None

    def read_bytes(self) -> bytes:
        if self.member is None:
            return self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(self.member)


def is_hidden(name: str) -> bool:
    """`.DS_Store`, `.ipynb_checkpoints`, `__MACOSX` and their like never become an image or a class."""
    return name.startswith(".") or name in HIDDEN_NAMES


def is_image_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def list_images(root: Path) -> list[FileEntry]:
    """Every image below `root` (a folder, nested as it likes, or a zip), sorted by id; links to folders are not followed.

    Raises:
        UserError: when the folder, or one below it, may not be read, or the zip is no zip.
    """
    if root.is_file():
        return _list_zip(root)
    found = []

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in files:
            if is_image_name(name) and not is_hidden(name):
                path = Path(folder, name)
                found.append(FileEntry(path, path.relative_to(root).as_posix()))
    return sorted(found, key=lambda entry: entry.id)


def _list_zip(path: Path) -> list[FileEntry]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"cannot read {path} as a zip archive: {error}; give a folder or a whole zip") from error
    kept = [name for name in members if is_image_name(name) and not any(is_hidden(part) for part in name.split("/"))]
    return [FileEntry(path, name, name) for name in sorted(kept)]


def existing_folder(root: Path, what: str) -> Path:
    """`root` when it exists.

    Raises:
        UserError: naming the nearest folder above it that does exist, so that a typing slip shows.
    """
    if root.exists():
        return root
    parent = next((folder for folder in root.absolute().parents if folder.exists()), Path("/"))
    inside = sorted(entry.name for entry in parent.iterdir() if not is_hidden(entry.name))[:8]
    holds = f" (it holds {', '.join(inside)})" if inside else ""
    raise UserError(f"{what}: {root} does not exist; the nearest folder that does is {parent}{holds}")
