"""Paths that users give, and the default folders for downloads and caches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.data.files.listing import is_hidden


def remembered_folder(cache_dir: str | None) -> Path:
    """Where `basics.remembered` keeps results, in the cache."""
    return cache_root(cache_dir) / "remembered"


def cache_root(cache_dir: str | None) -> Path:
    """`dataset.cache_dir`, else $VISION2_CACHE, else ~/.cache/vision2. Not created.

    Raises:
        UserError: when neither is set and the user has no home directory.
    """
    given = cache_dir or os.environ.get("VISION2_CACHE")
    try:
        return Path(given).expanduser() if given else Path.home() / ".cache" / "vision2"
    except RuntimeError as error:
        raise UserError("there is no home directory for the cache: set dataset.cache_dir=FOLDER or $VISION2_CACHE") from error


def data_name(dataset: str, root: str | Path | None) -> str:
    """A file name for results on a data set, such as `folder-1a2b3c4d`: results on another root do not overwrite them."""
    if not root:
        return dataset
    place = str(Path(root).expanduser().resolve())
    return f"{dataset}-{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:8]}"


def existing_path(given: str | Path, setting: str) -> Path:
    """`given` with ~ expanded.

    Raises:
        UserError: when it cannot be read, or does not exist, naming the nearest folder above it that does, so that a typo is
            easy to see.
    """
    path = Path(given).expanduser()
    with explaining_permissions(setting):
        if path.exists():
            return path
        parent = next((folder for folder in path.absolute().parents if folder.exists()), Path("/"))
        inside = sorted(entry.name for entry in parent.iterdir() if not is_hidden(entry.name))[:8]
    holds = f" (it holds {', '.join(inside)})" if inside else ""
    raise UserError(f"{setting}: {path} does not exist; the nearest existing folder is {parent}{holds}")


@contextmanager
def explaining_permissions(setting: str) -> Iterator[None]:
    """Turn a PermissionError into a UserError that names `setting`."""
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"{setting}: {error.filename} cannot be read ({error.strerror}); change its permissions or give another path"
        ) from error
