"""Download published files: try several addresses, resume interrupted downloads, check the content before the final rename."""

from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from vision2.basics.errors import UserError
from vision2.data.files.archives import unpack
from vision2.data.files.locations import cache_root, existing_path

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

CHUNK_BYTES = 1 << 20
ATTEMPTS = 3  # per address; each resumes where the previous one ended
TIMEOUT_S = 30
OTHER_DISK = "set dataset.cache_dir (or dataset.root, if you use it) to a folder on another disk"
SLACK = 1.5  # a new edition may be up to this many times the known size; the download stops beyond it


@dataclass(frozen=True)
class Published:
    """A published file: its size when this was written, and the checksum published with it, if any."""

    name: str
    addresses: tuple[str, ...]
    size_bytes: int
    md5: str | None = None

    @property
    def most_bytes(self) -> int:
        return int(self.size_bytes * SLACK)


def mirrored(addresses: Sequence[str], *files: tuple[str, int, str]) -> tuple[Published, ...]:
    """Published files (name, size in bytes, md5) that are available below each of `addresses`."""
    return tuple(Published(name, tuple(f"{address}/{name}" for address in addresses), size, md5) for name, size, md5 in files)


def download_folder(config: DatasetConfig) -> Path:
    """The folder this data set is downloaded to: `dataset.root` if set, else one in the cache.

    Raises:
        UserError: for a root that does not exist, because a typo must not start a download.
    """
    if config.root is None:
        return cache_root(config.cache_dir) / "downloads" / config.name
    return existing_path(config.root, "dataset.root")


def obtain(config: DatasetConfig, published: Sequence[Published], folder: Path, *, allowed: bool, remedy: str) -> None:
    """Download the files that `folder` lacks and unpack the tar archives among them.

    Raises:
        UserError: unless `allowed`, with `remedy` (what to type instead); see also `fetch` and `unpack`.
    """
    if not allowed:
        names = ", ".join(file.name for file in published)
        raise UserError(f"dataset={config.name}: no images found (looked for {names} in {folder}); {remedy}")
    for file in published:
        path = fetch(file, folder)
        if path.name.endswith((".tgz", ".tar.gz")):
            try:
                unpack(path, folder)
            except OSError as error:
                reason = error.strerror or error
                raise UserError(f"cannot unpack {path} into {folder}: {reason}; free some space, or {OTHER_DISK}") from error


class Interrupted(Exception):
    """The connection failed or ended early: it is worth another attempt, and the part received so far is kept."""


class WrongFile(Exception):
    """The content received is not the published file, so the part received so far is deleted."""


def fetch(published: Published, folder: Path) -> Path:
    """Return the file in `folder`, downloading it if it is missing. It gets its name only after its content is checked.

    Raises:
        UserError: when no address gives the right file, with the reason for each; when the disk is full.
    """
    target, part = folder / published.name, folder / f"{published.name}.part"
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{published.name}.lock", fallback_to_soft=False):  # two processes would write the same part
            if target.exists() and _is_right(target, published):
                return target
            _refuse_full_disk(published, folder, part)
            for address in published.addresses:
                reason = _fetch_from(address, part, published)
                if reason is None:
                    return part.replace(target)
                reasons.append(f"{address}: {reason}")
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror or error}; free some space, or {OTHER_DISK}") from error
    raise UserError(
        f"could not download {published.name} ({'; '.join(reasons)}); download it by hand into {folder}, "
        "or set dataset.root=PLACE to where the images are"
    )


def _fetch_from(address: str, part: Path, published: Published) -> str | None:
    """Return why this address failed, or None if `part` is now the right file."""
    if part.exists() and published.md5 and _is_right(part, published):
        return None  # the process was killed between the last byte and the rename
    reason = ""
    for _ in range(ATTEMPTS):
        resumed = part.exists()
        try:
            _continue_download(address, part, published)
            if _is_right(part, published):
                return None
            problem = "its md5 differs" if published.md5 else "it has no zip index"
            raise WrongFile(f"the downloaded file is not the published one ({problem})")
        except WrongFile as error:
            part.unlink(missing_ok=True)
            reason = str(error)
            if not resumed:  # otherwise the part left by an earlier attempt may have been wrong
                return reason
        except Interrupted as error:
            reason = str(error)
    return reason


def _continue_download(address: str, part: Path, published: Published) -> None:
    """Append the missing bytes to `part`.

    Raises:
        Interrupted: for network errors and connections that end early.
        WrongFile: when the server does not have the file, or offers one that is too large.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "vision2", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                have = 0  # the server sends the whole file again
            promised = response.headers.get("Content-Length", "")
            total = have + int(promised) if promised.isdigit() else None
            if total is not None and total > published.most_bytes:
                raise WrongFile(f"the server offers {total} bytes, expected {published.size_bytes}")
            have = _append(response, part, have, total, published.most_bytes)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the server's file, or longer: start over
            part.unlink(missing_ok=True)
            raise Interrupted("the partial file from an earlier attempt does not match") from error
        raise (Interrupted if error.code >= 500 else WrongFile)(f"HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise Interrupted(str(getattr(error, "reason", None) or error)) from error
    if total is not None and have < total:
        raise Interrupted(f"the connection ended after {have} of {total} bytes")


def _append(response, part: Path, have: int, total: int | None, most: int) -> int:
    """Copy `response` after the first `have` bytes of `part` and return the new length."""
    from tqdm import tqdm

    options = {"unit": "B", "unit_scale": True, "leave": False, "disable": None}
    with tqdm(total=total, initial=have, desc=part.stem, **options) as bar, part.open("ab" if have else "wb") as stream:
        while chunk := response.read(CHUNK_BYTES):
            have += len(chunk)
            if have > most:
                raise WrongFile(f"larger than the {most} bytes allowed")
            stream.write(chunk)
            bar.update(len(chunk))
    return have


def _is_right(path: Path, published: Published) -> bool:
    """Check the published checksum; without one, a zip must at least have its index at the end."""
    if published.md5 is None:
        return not published.name.endswith(".zip") or zipfile.is_zipfile(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == published.md5


def _refuse_full_disk(published: Published, folder: Path, part: Path) -> None:
    missing = published.size_bytes - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if free < missing:
        raise UserError(
            f"{published.name} needs {missing >> 20} MiB more, but the disk of {folder} has {free >> 20} MiB free; "
            f"free some space, or {OTHER_DISK}"
        )
