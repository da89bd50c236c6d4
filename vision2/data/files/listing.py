"""Finding image files in a folder or a zip, in an order that is the same on every file system."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.basics.written import LIST, is_run_folder
from vision2.data.files.own_results import results_in_archive, written_in

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})
MAX_IMAGE_BYTES = 512 << 20  # a zip member that claims to be larger is no photograph but a decompression bomb
HIDDEN_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir"})


@dataclass(frozen=True, order=True)
class FileEntry:
    """One image: the file at `path`, or `member` of the zip at `path`.

    `id` is the path below the data set's root with forward slashes: the same on every machine.
    """

    path: Path
    id: str
    member: str | None = None

    def read_bytes(self) -> bytes:
        """The encoded image. Raises OSError when it cannot be read, also for a damaged zip."""
        if self.member is None:
            return self.path.read_bytes()
        try:
            archive = _open_zip(self.path, os.getpid())
            if archive.getinfo(self.member).file_size > MAX_IMAGE_BYTES:
                raise OSError(f"larger than {MAX_IMAGE_BYTES >> 20} MiB unpacked")
            return archive.read(self.member)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise OSError(f"cannot be unpacked: {error}") from error

    def size_bytes(self) -> int:
        """The size of the encoded image; 0 when the file has gone."""
        if self.member is not None:
            return _open_zip(self.path, os.getpid()).getinfo(self.member).file_size
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@lru_cache(maxsize=8)
def _open_zip(path: Path, process: int) -> zipfile.ZipFile:
    """Opened once per process, because reading a large index takes a while; threads may share a ZipFile."""
    return zipfile.ZipFile(path)


def is_hidden(name: str) -> bool:
    """Whether this is a file or folder of the system, such as `.DS_Store` or `__MACOSX`, never an image or a class."""
    return name.startswith(".") or name in HIDDEN_NAMES


def is_image_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - ten times as fast as a Path


def list_images(root: Path) -> list[FileEntry]:
    """Every image below `root` (a folder of any depth, or a zip), sorted by id; results of ours among them are left out.

    Links to folders are followed once, so that a loop of links ends.

    Raises:
        UserError: when the folder or one below it cannot be read, or the file is not a zip archive.
    """
    if root.is_file():
        return _list_zip(root)
    found, seen, written = [], set(), set()

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else [name for name in folders if not is_hidden(name)]
        if real in seen:
            continue
        seen.add(real)
        here = Path(folder)
        if here != root and is_run_folder(files):
            folders.clear()
            continue
        if LIST in files:
            written |= written_in(here)
        prefix = "" if here == root else here.relative_to(root).as_posix() + "/"
        found += [FileEntry(here / name, prefix + name) for name in files if is_image_name(name) and not is_hidden(name)]
    return sorted((entry for entry in found if entry.path not in written), key=lambda entry: entry.id)


def _list_zip(path: Path) -> list[FileEntry]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
            is_result = results_in_archive(members, archive.read)
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise UserError(f"cannot read {path} as a zip archive: {error}; give a folder or a complete zip") from error
    images = [name for name in members if is_image_name(name) and not is_result(name)]
    kept = [name for name in images if not any(is_hidden(part) for part in name.split("/"))]
    return [FileEntry(path, name, name) for name in sorted(kept)]
