"""Find image files in a folder or a zip, in an order that is the same on every file system."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.basics.run_files import is_run_folder
from vision2.basics.written import LIST
from vision2.data.files.formats import (
    HEAD_BYTES,
    IMAGE_EXTENSIONS,
    NO_IMAGE,
    REASON_BY_EXTENSION,
    format_of,
    missing_decoder,
)
from vision2.data.files.own_results import results_in_archive, written_in
from vision2.data.files.unused import OUTSIDE, Unused
from vision2.data.files.zips import DAMAGED, read_members

MAX_IMAGE_BYTES = 512 << 20  # a zip member that claims to be larger is a decompression bomb, not a photograph
HIDDEN_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir"})
PROGRAM_FOLDERS = frozenset({".git", ".svn", ".hg", ".idea", ".vscode", ".Trashes", ".Spotlight-V100", ".fseventsd", ".dvc"})
NAMES_SHOWN = 3


GONE = (-1, -1)


@dataclass(slots=True)
class FileEntry:
    """One image: the file at `path`, or `member` of the zip at `path`.

    `id` is the path relative to the data set's root, with forward slashes: the same on every machine. Paths are plain text,
    because there may be hundreds of thousands, and a `Path` for each takes seconds.
    """

    path: str
    id: str
    member: str | None = None
    _state: tuple[int, int] | None = field(default=None, init=False, repr=False, compare=False)

    def state(self) -> tuple[int, int]:
        """(bytes, nanoseconds since 1970 of the last change) of the file at `path`, read once; GONE if there is none."""
        if self._state is None:
            try:
                found = os.stat(self.path)  # noqa: PTH116 - twice as fast as a Path
                self._state = found.st_size, found.st_mtime_ns
            except OSError:
                self._state = GONE
        return self._state

    def read_bytes(self) -> bytes:
        """The encoded image. Raises OSError if it cannot be read, also for a damaged zip."""
        if self.member is None:
            return Path(self.path).read_bytes()
        try:
            archive = _open_zip(self.path, os.getpid())
            if archive.getinfo(self.member).file_size > MAX_IMAGE_BYTES:
                raise OSError(f"larger than {MAX_IMAGE_BYTES >> 20} MiB unpacked")
            return archive.read(self.member)
        except DAMAGED as error:
            raise OSError(f"cannot be unpacked: {error}") from error

    def read_head(self) -> bytes:
        """The first bytes of the file. Raises OSError if it cannot be read."""
        try:
            in_zip = self.member is not None
            with _open_zip(self.path, os.getpid()).open(self.member) if in_zip else Path(self.path).open("rb") as stream:
                return stream.read(HEAD_BYTES)
        except DAMAGED as error:
            raise OSError(f"cannot be unpacked: {error}") from error

    def size_bytes(self) -> int:
        """The size of the encoded image; 0 if the file no longer exists."""
        if self.member is not None:
            return _open_zip(self.path, os.getpid()).getinfo(self.member).file_size
        return max(0, self.state()[0])


@dataclass(frozen=True)
class Listing:
    """The images of a place, sorted by id, and in `notes` (plain JSON) what else is there."""

    images: list[FileEntry]
    notes: dict = field(default_factory=dict)


@lru_cache(maxsize=8)
def _open_zip(path: str, process: int) -> zipfile.ZipFile:
    """Opened once per process, because reading a large index takes a while; threads may share a ZipFile."""
    return zipfile.ZipFile(path)


def is_hidden(name: str) -> bool:
    """Whether this is a hidden or system file or folder, such as `.DS_Store` or `__MACOSX`, never an image or a class."""
    return name.startswith(".") or name in HIDDEN_NAMES


def readable_name(name: str) -> str:
    """A path as text that can be printed and saved: in NFC, with bytes that are not UTF-8 written as `\\xe9`."""
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


def why_unused(name: str, read_head: Callable[[], bytes]) -> str | None:
    """Why a file is not used as an image, by its name and first bytes; None for an image."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - ten times as fast as a Path
    kind = IMAGE_EXTENSIONS.get(extension)
    if kind is None and extension in REASON_BY_EXTENSION:
        return REASON_BY_EXTENSION[extension]
    if kind is None or missing_decoder(kind):  # the file is opened only then: there may be hundreds of thousands
        try:
            kind = format_of(read_head()) or kind
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
    return missing_decoder(kind) if kind else NO_IMAGE


def list_images(root: Path) -> list[FileEntry]:
    """The images of `list_place(root)`."""
    return list_place(root).images


def list_place(root: Path, zip_encoding: str | None = None) -> Listing:
    """List every image below `root` (a folder of any depth, or a zip); count other files by reason and extension.

    Links to folders are followed once, so that a loop of links ends.

    Args:
        zip_encoding: encoding of names in a zip that are not marked as UTF-8; None guesses.

    Raises:
        UserError: when the folder or one below it cannot be read, or the file is not a zip archive or is encrypted.
    """
    unused, hidden, notes = Unused(), set(), {}
    found, candidates = [], _zip_files(root, zip_encoding, notes, unused) if root.is_file() else _folder_files(root, hidden)
    outermost_hidden = lru_cache(maxsize=None)(_outermost_hidden)
    for entry in candidates:
        folder, _, name = entry.id.rpartition("/")
        if inside := outermost_hidden(folder):
            if _may_hold_images(inside.rpartition("/")[2]):
                hidden.add(inside)
        elif is_hidden(name):
            if name not in HIDDEN_NAMES and not name.startswith("._") and name.lower().endswith(tuple(IMAGE_EXTENSIONS)):
                unused.add(entry.id, "hidden: its name begins with a dot")
        elif reason := why_unused(name, entry.read_head):
            unused.add(entry.id, reason)
        else:
            found.append(entry)
    if len(unused):
        notes["unused"] = unused.to_notes()
    if hidden:
        notes["hidden_folders"] = sorted(hidden)
    return Listing(sorted(found, key=attrgetter("id")), notes)


def _outermost_hidden(folder: str) -> str | None:
    """The outermost folder of this path that is hidden, with the folders above it."""
    parts = folder.split("/")
    depth = next((depth for depth, part in enumerate(parts) if is_hidden(part)), None)
    return None if depth is None else "/".join(parts[: depth + 1])


def _folder_files(root: Path, hidden: set[str]) -> Iterator[FileEntry]:
    """Yield the files outside hidden folders, except vision2's results; add hidden folders that may hold images to `hidden`."""
    seen, written = set(), set()

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions") from error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        here = Path(folder)
        prefix = "" if here == root else readable_name(here.relative_to(root).as_posix()) + "/"
        hidden.update(prefix + readable_name(name) for name in folders if is_hidden(name) and _may_hold_images(name))
        folders[:] = [] if real in seen else [name for name in folders if not is_hidden(name)]
        if real in seen:
            continue
        seen.add(real)
        if here != root and is_run_folder(files):
            folders.clear()
            continue
        if LIST in files:
            written |= written_in(here)
        if written:
            files = [name for name in files if here / name not in written]
        inside = os.path.join(folder, "")  # noqa: PTH118 - added once for each folder, not for each file
        yield from [FileEntry(inside + name, prefix + readable_name(name)) for name in files]


def _may_hold_images(name: str) -> bool:
    return name not in HIDDEN_NAMES | PROGRAM_FOLDERS


def _zip_files(path: Path, encoding: str | None, notes: dict, unused: Unused) -> Iterator[FileEntry]:
    """Yield the files of a zip, except vision2's results; add those whose path leads outside it to `unused`."""
    members, guessed = read_members(path, encoding)
    locked = [member.name for member in members if member.encrypted]
    if locked:
        raise UserError(
            f"{path} is encrypted ({len(locked)} of {len(members)} files): unpack it with its password and give that folder"
        )
    if guessed:
        notes["guessed_names"] = sorted(guessed)[:NAMES_SHOWN]
    inside = [member for member in members if not member.outside]
    for member in members:
        if member.outside:
            unused.add(member.name, OUTSIDE)
    keys = {member.name: member.key for member in inside}
    is_result = results_in_archive(keys, lambda name: FileEntry(str(path), name, keys[name]).read_bytes())
    return (FileEntry(str(path), member.name, member.key) for member in inside if not is_result(member.name))
