"""Count the files among the images that are not used, by reason and file extension."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

EXAMPLES = 3
NO_EXTENSION = "no extension"
OUTSIDE = "path outside the archive"  # its first name is shown: who made the archive should look at it


class Unused:
    """Counts of files by (reason, extension), with the first few names of each."""

    def __init__(self):
        self._names: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._counts: dict[tuple[str, str], int] = defaultdict(int)

    def add(self, name: str, reason: str) -> None:
        key = (reason, PurePosixPath(name).suffix.lower() or NO_EXTENSION)
        self._counts[key] += 1
        if len(self._names[key]) < EXAMPLES:
            self._names[key].append(name)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def to_notes(self) -> list[dict]:
        """[{reason, extension, count, examples}], the most frequent first; plain JSON."""
        return [
            {"reason": reason, "extension": extension, "count": count, "examples": self._names[reason, extension]}
            for (reason, extension), count in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        ]


def count_unused(files: Iterable[tuple[str, str]]) -> list[dict]:
    """`Unused.to_notes` of (name, reason) pairs."""
    unused = Unused()
    for name, reason in files:
        unused.add(name, reason)
    return unused.to_notes()


def describe_unused(notes: Iterable[dict]) -> str:
    """`3 .txt (not an image), 1 .heic (HEIC: pip install 'vision2[heif]' to read it)`, by reason; "" if there are none."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    first = {}
    for note in notes:
        if note["reason"] == OUTSIDE:
            first.setdefault(OUTSIDE, f", first: {note['examples'][0]}")
        extension = f"{'with ' if note['extension'] == NO_EXTENSION else ''}{note['extension']}"
        by_reason[note["reason"]].append(f"{note['count']:,} {extension}")
    return ", ".join(f"{' and '.join(counts)} ({reason}{first.get(reason, '')})" for reason, counts in by_reason.items())
