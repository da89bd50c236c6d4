"""Find vision2's own results among the user's images, so that run folders and written pictures are not read as photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from vision2.basics.run_files import CONFIG, RUN_RECORDS, SWEEP_RECORD, is_run_folder
from vision2.basics.written import LIST, names_in


def written_in(folder: Path) -> set[Path]:
    """The files that vision2 commands wrote in or below this folder, according to the list they keep there."""
    with suppress(OSError):
        return {folder / name for name in names_in((folder / LIST).read_text(encoding="utf-8", errors="replace"))}
    return set()


def holds_results(folder: Path) -> bool:
    """Whether there are vision2 results in or below the folder; if so, it is not a class folder that lost its images."""
    return any(
        LIST in files or SWEEP_RECORD in files or is_run_folder(files) for _, _, files in os.walk(folder, followlinks=False)
    )


def results_in_archive(members: Iterable[str], read: Callable[[str], bytes]) -> Callable[[str], bool]:
    """Return a function that tells whether a member was written by vision2. `read` returns the content of a member."""
    members, runs, written = set(members), [], set()
    for member in members:
        folder, slash, name = member.rpartition("/")
        if name == CONFIG and slash and any(f"{folder}/{record}" in members for record in RUN_RECORDS):
            runs.append(f"{folder}/")
        elif name == LIST:
            written |= {folder + slash + name for name in names_in(read(member).decode(errors="replace"))}
    return lambda member: member in written or member.startswith(tuple(runs))
