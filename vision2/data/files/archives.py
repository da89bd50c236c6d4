"""Unpack archives safely: nothing outside the target folder, no links, no bombs, and either everything or nothing."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from vision2.basics.errors import UserError
from vision2.data.files.listing import is_hidden

CHUNK_BYTES = 1 << 20
MOST_FILES = 2_000_000
MOST_RATIO = 50  # unpacked : packed; photographs reach 1.1, lists 10, bombs 1,000 and more
FREE_RATIO_BYTES = 64 << 20  # up to this size any ratio is accepted
BY_HAND = "unpack it yourself if you trust it, and give the folder as dataset.root"


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a .zip or .tar(.gz|.bz2|.xz) into `folder`; hidden members are left out.

    Members are unpacked into a temporary folder and then renamed, so that an interruption leaves no partial content.

    Raises:
        UserError: for members outside the folder, links or devices, too many or too large members, or a damaged archive.
        OSError: when the disk is full or the folder cannot be written. In either case, nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    most = max(archive.stat().st_size * MOST_RATIO, FREE_RATIO_BYTES)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as name:
        place = Path(name)
        written = 0
        try:
            for number, (member, stream) in enumerate(_members(archive)):
                target = place.joinpath(*_safe_parts(archive, member))
                target.parent.mkdir(parents=True, exist_ok=True)
                written += _copy(stream, target, most - written, archive)
                if number >= MOST_FILES:
                    raise UserError(f"{archive} holds more than {MOST_FILES} files, too many for a data set: {BY_HAND}")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError) as error:
            raise UserError(f"{archive} is damaged ({error}): delete it and download it again") from error
        for entry in sorted(place.iterdir()):
            _put(entry, folder / entry.name)
    return folder


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, content) of every visible file. Raises UserError for a member that is neither a file nor a folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = info.external_attr >> 28  # Unix file type of the upper 16 bits: 8 file, 4 folder, 10 link
                if kind not in (0, 4, 8):
                    raise _refusal(archive, info.filename, "is a link or a device")
                if not info.is_dir() and not _hidden(info.filename):
                    with packed.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive) as packed:
        for info in packed:
            if not (info.isfile() or info.isdir()):
                raise _refusal(archive, info.name, "is a link or a device")
            if info.isfile() and not _hidden(info.name):
                yield info.name, packed.extractfile(info)


def _hidden(name: str) -> bool:
    return any(is_hidden(part) for part in PurePosixPath(name).parts if part != "..")


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ":" in name or ".." in parts or not parts:
        raise _refusal(archive, name, "would be written outside the target folder")
    return parts


def _copy(stream: IO[bytes], target: Path, most: int, archive: Path) -> int:
    """Copy and return the number of bytes written, counted here because the sizes stated in an archive may be false."""
    written = 0
    with target.open("xb") as out:
        while chunk := stream.read(CHUNK_BYTES):
            written += len(chunk)
            if written > most:
                raise UserError(
                    f"{archive} unpacks to over {MOST_RATIO} times its size and looks like a decompression bomb: {BY_HAND}"
                )
            out.write(chunk)
    return written


def _put(source: Path, target: Path) -> None:
    """Rename `source` to `target`; existing folders are merged, existing files replaced."""
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        for entry in sorted(source.iterdir()):
            _put(entry, target / entry.name)
    else:
        shutil.move(source, target)


def _refusal(archive: Path, name: str, why: str) -> UserError:
    return UserError(f"{archive} holds '{name}', which {why}: {BY_HAND}")
