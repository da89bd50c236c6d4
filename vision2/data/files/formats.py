"""Which files are images. The first bytes decide, not the name: people rename files, and some files have no extension."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

HEAD_BYTES = 32  # enough for every signature below


@dataclass(frozen=True)
class Format:
    """An image format. `signature` matches the first bytes; `pillow` are Pillow's names for it, the decoder's first."""

    name: str
    extensions: tuple[str, ...]
    signature: re.Pattern[bytes]
    pillow: tuple[str, ...]
    needs: str = ""  # what to install if Pillow alone cannot decode it


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


FORMATS = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), _starts(rb"\xff\xd8\xff"), ("JPEG", "MPO")),
    Format("PNG", (".png",), _starts(rb"\x89PNG\r\n\x1a\n"), ("PNG",)),
    Format("GIF", (".gif",), _starts(rb"GIF8[79]a"), ("GIF",)),
    Format("WebP", (".webp",), _starts(rb"RIFF....WEBP"), ("WEBP",)),
    Format("BMP", (".bmp",), _starts(rb"BM.{4}\0{4}"), ("BMP",)),
    Format("TIFF", (".tif", ".tiff"), _starts(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), ("TIFF",)),
    Format("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), _starts(rb"P[1-6]\s"), ("PPM",)),
    Format(
        "JPEG 2000", (".jp2", ".j2k", ".jpf", ".jpx"), _starts(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"), ("JPEG2000",)
    ),
    Format("AVIF", (".avif",), _starts(rb"....ftypavi[fs]"), ("AVIF",), "'pillow>=11.3'"),
    Format("HEIC", (".heic", ".heif"), _starts(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)"), ("HEIF",), "'vision2[heif]'"),
)
IMAGE_EXTENSIONS = {extension: kind for kind in FORMATS for extension in kind.extensions}

# Files that occur among images but are never opened, and why: some hold a small preview that would be taken for the image.
CONVERT = "convert to JPEG or PNG"
NO_IMAGE = "not an image"
NOT_READ = {
    NO_IMAGE: (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".py", ".ipynb", ".log"),
    f"JPEG XL: {CONVERT}": (".jxl",),
    f"camera raw: {CONVERT}": (".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    f"drawing or document: {CONVERT}": (".svg", ".psd", ".ai", ".eps", ".pdf", ".xcf"),
    f"icon or texture: {CONVERT}": (".ico", ".tga", ".dds", ".icns"),
    "video: extract its frames": (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"),
    f"medical or scientific data: {CONVERT}": (".dcm", ".nii", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".fits"),
    "archive: unpack it": (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
}
REASON_BY_EXTENSION = {extension: reason for reason, extensions in NOT_READ.items() for extension in extensions}


def format_of(head: bytes) -> Format | None:
    """The format indicated by the first `HEAD_BYTES` bytes of a file."""
    return next((kind for kind in FORMATS if kind.signature.match(head)), None)


def missing_decoder(kind: Format) -> str | None:
    """Why a format cannot be decoded here and what to install, or None if it can."""
    if kind.name in decodable():
        return None
    remedy = f"pip install {kind.needs} to read it" if kind.needs else f"not supported by this Pillow, {CONVERT}"
    return f"{kind.name}: {remedy}"


@cache
def decodable() -> frozenset[str]:
    """The names of the formats that can be decoded here; registers the HEIC decoder if it is installed."""
    from PIL import Image

    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return frozenset(kind.name for kind in FORMATS if kind.pillow[0] in Image.OPEN)


@cache
def pillow_names() -> tuple[str, ...]:
    """The decoders that Pillow may try on a file; EPS, for example, is excluded because it would start another program."""
    return tuple(kind.pillow[0] for kind in FORMATS if kind.name in decodable())
