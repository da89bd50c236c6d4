"""Results that take long to find, kept in small files: one that cannot be read or written is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError


def remembered(folder: Path | None, facts: Any, find: Callable[[], Any]) -> Any:
    """What `find` returned earlier for the same facts, else what it returns now; both are plain JSON values.

    Args:
        folder: where results are kept; None finds them every time.
        facts: all that the result depends on.
    """
    if folder is None:
        return find()
    file = folder / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads(file.read_text(encoding="utf-8"))["result"]
    result = find()
    with suppress(UserError):
        write_json(file, {"result": result})
    return result
