"""Inspect one file: whether it can be decoded, and what about it may be unexpected."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vision2.data.audit.duplicates import difference_hash, small_grey
from vision2.data.files.decode import ORIENTATION_TAG, TURNS, BadImage, are_twelve_bits, decode_image, has_sixteen_bits
from vision2.data.files.formats import IMAGE_EXTENSIONS, pillow_names

if TYPE_CHECKING:
    from vision2.data.files.listing import FileEntry

TINY_PX = 32  # shorter side; enlarged to 224 px, the image would be a blur
EXTREME_ASPECT = 3.0  # longer : shorter side; a centre crop then shows less than a third
ENDS_EARLY = re.compile(
    "truncat|unexpected end|end of (file|data)|premature|not enough", re.IGNORECASE
)  # the decoders' wording

# what an audit reports, in this order; training leaves out files of BAD_KINDS
BAD_KINDS = {
    "empty": "Empty files (0 bytes)",
    "truncated": "Truncated files",
    "undecodable": "Files that cannot be decoded",
}
ODD_KINDS = {
    "animated": "Animations (the first frame is used)",
    "16-bit": "16-bit images (rescaled to 8 bits)",
    "12-bit": "12-bit data in 16-bit files (no value above 4095, which is treated as white)",
    "blank": "Blank images (fully transparent)",
    "constant": "Images of a single colour",
    "cmyk": "CMYK images (converted to RGB)",
    "alpha": "Images with transparency (blended with white)",
    "grey": "Grey images (copied to three channels)",
    "rotated": "Images rotated upright by their EXIF orientation",
    "tiny": f"Tiny images (shorter side below {TINY_PX} px)",
    "extreme aspect": f"Extreme aspect ratios (longer side more than {EXTREME_ASPECT:g} times the shorter)",
    "other format": "Files whose format does not match their extension",
}
KINDS = BAD_KINDS | ODD_KINDS


@dataclass(frozen=True)
class FileFacts:
    """`width` and `height` in px of the upright image; 0, "" or None if the file cannot be decoded."""

    bytes: int
    sha256: str | None = None
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    kinds: tuple[str, ...] = ()
    reason: str = ""
    hash: int = 0
    small: np.ndarray | None = None  # (16, 16) uint8 grey copy

    @property
    def bad(self) -> bool:
        return any(kind in BAD_KINDS for kind in self.kinds)


def inspect_file(entry: FileEntry) -> FileFacts:
    """Read a file and decode it completely, with the code that decodes for training."""
    try:
        data = entry.read_bytes()
    except OSError as error:
        return FileFacts(entry.size_bytes(), kinds=("undecodable",), reason=f"cannot be read: {error}")
    if not data:
        return FileFacts(0, kinds=("empty",), reason="0 bytes")
    digest = hashlib.sha256(data).hexdigest()
    try:
        image = decode_image(data)
        with Image.open(io.BytesIO(data), formats=pillow_names()) as opened:
            kinds = _odd_kinds(opened, PurePosixPath(entry.id).suffix.lower())
            form, mode = opened.format, opened.mode
            kinds += _odd_content(opened, image, kinds)
    except BadImage as error:
        reason = str(error)
        kind = "truncated" if ENDS_EARLY.search(reason) else "undecodable"
        return FileFacts(len(data), digest, kinds=(kind,), reason=reason)
    height, width = image.shape[:2]
    kinds += ["tiny"] * (min(width, height) < TINY_PX)
    kinds += ["extreme aspect"] * (max(width, height) > EXTREME_ASPECT * min(width, height))
    return FileFacts(len(data), digest, form, mode, width, height, tuple(kinds), "", difference_hash(image), small_grey(image))


def _odd_kinds(image: Image.Image, suffix: str) -> list[str]:
    """The kinds that show in the header."""
    mode = image.mode
    odd = {
        "animated": image.format != "MPO" and _or(1, lambda: getattr(image, "n_frames", 1)) > 1,
        "16-bit": mode == "F" or has_sixteen_bits(image),
        "cmyk": mode == "CMYK",
        "alpha": image.has_transparency_data,
        "grey": mode in ("1", "L", "LA", "La", "F") or mode.startswith("I"),
        "rotated": _or(1, lambda: image.getexif().get(ORIENTATION_TAG)) in TURNS,
        "other format": suffix in IMAGE_EXTENSIONS and image.format not in IMAGE_EXTENSIONS[suffix].pillow,
    }
    return [kind for kind, found in odd.items() if found]


def _odd_content(opened: Image.Image, image: np.ndarray, header: list[str]) -> list[str]:
    """The kinds that show in the pixels: those in the file, and those of `image` (H, W, 3) decoded from it."""
    kinds = []
    if "16-bit" in header and opened.mode != "F" and are_twelve_bits(opened):
        kinds.append("12-bit")
    if opened.has_transparency_data and opened.convert("RGBA").getextrema()[3][1] == 0:
        kinds.append("blank")
    elif (image == image[:1, :1]).all():
        kinds.append("constant")
    return kinds


def _or(default: int, read: Callable[[], int]) -> int:
    """`read()`, or `default` if damage outside the picture (EXIF, later frames) makes it raise any exception."""
    try:
        return read()
    except Exception:
        return default
