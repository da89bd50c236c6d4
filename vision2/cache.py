"""python -m vision2.cache list|clear [dir=FOLDER]

List the stores of decoded images and of features, or delete those that no process is using, with remembered
timings and costs. Downloads are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from shutil import rmtree

from vision2.basics.errors import UserError, suggest
from vision2.basics.safe_text import printable
from vision2.config.command import Option, run_command

ACTIONS = ("list", "clear")
OPTIONS = {
    "action": Option("list", "list | clear; action= may be left out"),
    "dir": Option("", "the cache folder, as in dataset.cache_dir; empty = $VISION2_CACHE or ~/.cache/vision2"),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words and "=" not in words[0] and not words[0].startswith("-"):
        words[0] = f"action={words[0]}"
    return run_command(words, doc=__doc__, options=OPTIONS, run=run, composes=False)


def run(options: dict) -> None:
    from vision2.data.files.locations import remembered_folder
    from vision2.data.store.store_folder import delete_store, list_stores, stores_folder
    from vision2.features.feature_store import delete_features, features_folder, size_of_features

    action = options["action"]
    if action not in ACTIONS:
        raise UserError(f"unknown action '{action}'{suggest(action, ACTIONS)}")
    folder = stores_folder(options["dir"] or None)
    stores = list_stores(folder)
    print(f"{folder}: {len(stores)} store{'s' * (len(stores) != 1)}, {sum(store.bytes for store in stores) / 1e9:.2f} GB")
    for store in stores:
        note = ""
        if action == "clear":
            note = "  deleted" if delete_store(store.path) else "  kept: a process is using it"
        used = datetime.fromtimestamp(store.used).strftime("%Y-%m-%d %H:%M")
        print(
            f"  {store.path.name}  {store.bytes / 1e6:8.1f} MB  {store.images:7d} images at {store.store_px:4d} px"
            f"  used {used}  {printable(store.source)}{note}"
        )
    features = features_folder(options["dir"] or None)
    count, size = size_of_features(features)
    if action == "clear":
        delete_features(features)
    note = "  deleted" if action == "clear" and count else ""
    print(f"{features}: features of {count} layer{'s' * (count != 1)}, {size / 1e9:.2f} GB{note}")
    if action == "clear":
        rmtree(remembered_folder(options["dir"] or None), ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
