"""Results of ours inside the user's images: run folders and the pictures that commands wrote are no new photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from vision2.basics.written import CONFIG, LIST, RUN_RECORDS, SWEEP_RECORD, is_run_folder, names_in


def written_in(folder: Path) -> set[Path]:
    """The files that commands of ours wrote in this folder or below it, by the list they keep there."""
    with suppress(OSError):
        return {folder / name for name in names_in((folder / LIST).read_text(encoding="utf-8", errors="replace"))}
    return set()


def holds_results(folder: Path) -> bool:
    """Whether results of ours lie somewhere below: such a folder without images is no class that lost its images."""
    return any(
        LIST in files or SWEEP_RECORD in files or is_run_folder(files) for _, _, files in os.walk(folder, followlinks=False)
    )


def results_in_archive(members: Iterable[str], read: Callable[[str], bytes]) -> Callable[[str], bool]:
    """Whether a member is a result of ours. `read` gives the content of a member."""
    members, runs, written = set(members), [], set()
    for member in members:
        folder, slash, name = member.rpartition("/")
        if name == CONFIG and slash and any(f"{folder}/{record}" in members for record in RUN_RECORDS):
            runs.append(f"{folder}/")
        elif name == LIST:
            written |= {folder + slash + name for name in names_in(read(member).decode(errors="replace"))}
    return lambda member: member in written or member.startswith(tuple(runs))
