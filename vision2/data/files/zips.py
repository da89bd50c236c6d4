"""The members of a zip, with the names that people gave them."""

from __future__ import annotations

import re
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vision2.basics.errors import UserError

UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
LEGACY_ENCODING = "cp437"  # prescribed for names without the UTF-8 flag, but many programs use other encodings
DRIVE = re.compile("[A-Za-z]:/")
DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError)


@dataclass(frozen=True)
class Member:
    """`name` is a readable path with forward slashes, relative to the archive's root unless it leads `outside`.

    `key` is the member's name in `zipfile`.
    """

    name: str
    key: str
    encrypted: bool
    outside: bool


def read_members(path: Path, encoding: str | None = None) -> tuple[list[Member], list[str]]:
    """The files in a zip, and the names whose encoding had to be guessed.

    Args:
        encoding: encoding of names not marked as UTF-8; None uses UTF-8 if all of them are valid UTF-8, else cp437.

    Raises:
        UserError: when the file is not a zip, or the encoding does not fit its names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (*DAMAGED, OSError) as error:
        raise UserError(f"cannot read {path} as a zip archive: {error}; give a folder or a complete zip") from error
    unmarked = [info for info in infos if not info.flag_bits & UTF8_FLAG and not info.filename.isascii()]
    chosen = encoding or _guess([_raw(info) for info in unmarked])
    names = {id(info): _decoded(info, chosen, path) for info in unmarked}
    members = []
    for info in infos:
        name = names.get(id(info), info.filename)
        if name.endswith(("/", "\\")):  # a folder
            continue
        outside = leads_outside(name)
        if readable := unicodedata.normalize("NFC", name) if outside else relative_name(name):
            members.append(Member(readable, info.filename, bool(info.flag_bits & ENCRYPTED_FLAG), outside))
    guessed = encoding is None and chosen == LEGACY_ENCODING
    return members, [names[id(info)] for info in unmarked] if guessed else []


def leads_outside(name: str) -> bool:
    """Whether a member's path is absolute, on Windows or elsewhere, or has a part "..", which `unpack` refuses too."""
    path = name.replace("\\", "/")
    return path.startswith("/") or DRIVE.match(path) is not None or ".." in path.split("/")


def relative_name(name: str) -> str:
    """The name with forward slashes and without ".". It is never used as a path to write to.

    >>> relative_name("photos\\\\cat\\\\1.jpg"), relative_name("./cat/./1.jpg")
    ('photos/cat/1.jpg', 'cat/1.jpg')
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", PurePosixPath(*parts).as_posix()) if parts else ""


def _guess(names: list[bytes]) -> str:
    """macOS and many programs write UTF-8 without the flag, and text in another encoding is hardly ever valid UTF-8."""
    try:
        for name in names:
            name.decode("utf-8")
    except UnicodeDecodeError:
        return LEGACY_ENCODING
    return "utf-8"


def _raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode(LEGACY_ENCODING)


def _decoded(info: zipfile.ZipInfo, encoding: str, path: Path) -> str:
    try:
        return _raw(info).decode(encoding)
    except (LookupError, UnicodeDecodeError) as error:
        why = "is not the name of an encoding" if isinstance(error, LookupError) else f"does not fit the names in {path}"
        raise UserError(f"dataset.zip_encoding={encoding} {why}; use cp437, cp850, cp1252 or utf-8") from error
