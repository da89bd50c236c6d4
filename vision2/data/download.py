"""Fetching published archives: several addresses, resumed when broken off, checked before they get their name."""

from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from vision2.basics.errors import UserError

CHUNK_BYTES = 1 << 20
ATTEMPTS = 3  # an address; each goes on where the last broke off
TIMEOUT_S = 30
SLACK = 1.5  # an archive without a checksum may grow by this factor over the size we know before we stop reading


@dataclass(frozen=True)
class Published:
    """A file somebody publishes. `size_bytes` is what it had when this was written; `digest` is `algorithm`'s, in hex."""

    name: str
    addresses: tuple[str, ...]
    size_bytes: int
    algorithm: str | None = None
    digest: str | None = None

    @property
    def most_bytes(self) -> int:
        """With a checksum the size is exact; without one, room for a new edition."""
        return self.size_bytes if self.digest else int(self.size_bytes * SLACK)


class BrokenOff(Exception):
    """The connection ended early or failed: worth another attempt, the part we have stays."""


class WrongFile(Exception):
    """What came is not what was published: the part we have is worthless."""


def fetch(published: Published, folder: Path, *, show_progress: bool = True) -> Path:
    """The file in `folder`, downloaded unless a whole one is there already. It gets its name only when it is right.

    Raises:
        UserError: when no address gives the right file, with the reason of each; when the disk is full.
    """
    target = folder / published.name
    if target.exists() and _is_right(target, published):
        return target
    part = folder / f"{published.name}.part"
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_full_disk(published, folder, part)
        for address in published.addresses:
            reason = _fetch_from(address, part, published, show_progress)
            if reason is None:
                part.replace(target)
                return target
            reasons.append(f"{address}: {reason}")
    except OSError as error:
        raise UserError(
            f"cannot write {part}: {error.strerror or error}; free the disk, or set dataset.cache_dir"
        ) from error
    raise UserError(
        f"could not download {published.name} ({'; '.join(reasons)}): fetch it by hand into {folder}, "
        "or give dataset.root=FOLDER where the images are"
    )


def _fetch_from(address: str, part: Path, published: Published, show_progress: bool) -> str | None:
    """Why this address failed, or None when `part` is now the right file."""
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            _continue_download(address, part, published, show_progress)
            if not _is_right(part, published):
                raise WrongFile(f"{published.algorithm} differs from the published one")
        except WrongFile as error:
            part.unlink(missing_ok=True)
            return str(error)
        except BrokenOff as error:
            reason = str(error)
            continue
        return None
    return reason


def _continue_download(address: str, part: Path, published: Published, show_progress: bool) -> None:
    """Append to `part` what is missing.

    Raises:
        BrokenOff: for network errors and an early end.
        WrongFile: when the server promises or sends more than the file can have, or does not have it.
    """
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    if have == published.size_bytes and published.digest:
        return
    request = urllib.request.Request(address, headers={"User-Agent": "vision2", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if answer.status != 206:
                have = 0  # the server sends the whole file again
            promised = answer.headers.get("Content-Length")
            total = have + int(promised) if promised and promised.isdigit() else None
            _refuse_size(total, published)
            bar = tqdm(
                total=total,
                initial=have,
                unit="B",
                unit_scale=True,
                desc=published.name,
                leave=False,
                disable=not show_progress,
            )
            with bar, part.open("ab" if have else "wb") as stream:
                while chunk := answer.read(CHUNK_BYTES):
                    have += len(chunk)
                    if have > published.most_bytes:
                        raise WrongFile(f"larger than the {published.most_bytes} bytes it can have")
                    stream.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as error:
        if error.code == 416:  # our part is as long as theirs, or longer: not the same file
            raise WrongFile("the server has a shorter file") from error
        raise (BrokenOff if error.code >= 500 else WrongFile)(f"HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise BrokenOff(str(getattr(error, "reason", None) or error)) from error
    if (total is not None and have < total) or (published.digest and have < published.size_bytes):
        raise BrokenOff(f"the connection ended after {have} of {total or published.size_bytes} bytes")


def _refuse_size(total: int | None, published: Published) -> None:
    if total is None:
        return
    if total > published.most_bytes or (published.digest and total != published.size_bytes):
        raise WrongFile(f"the server offers {total} bytes, expected {published.size_bytes}")


def _is_right(path: Path, published: Published) -> bool:
    if published.digest is None:
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, published.algorithm).hexdigest() == published.digest


def _refuse_full_disk(published: Published, folder: Path, part: Path) -> None:
    missing = published.size_bytes - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if free < missing:
        raise UserError(
            f"{published.name} needs {missing >> 20} MiB more, the disk of {folder} has {free >> 20} MiB free: "
            "set dataset.cache_dir to another one"
        )
