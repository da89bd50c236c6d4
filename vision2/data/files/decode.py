"""Decode image files to uint8 RGB, by the same rules in training, audit and prediction.

- transparency is blended with white; palettes are resolved; grey is copied to three channels
- 16-bit values v are rescaled to 8 bits (v * 255 / 65535; colours v / 256); if no value is above 4095, they are treated
  as 12-bit data from a camera or scanner (v * 255 / 4095); floating-point values are read as [0, 1] if none is larger, else
  as 0..255
- CMYK and Lab are converted with the embedded colour profile if there is one, else by Pillow's rules
- the EXIF orientation is applied; only the first frame of an animation is used
- a truncated file is an error, never a half-grey picture
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from vision2.data.files.formats import HEAD_BYTES, format_of, missing_decoder, pillow_names

if TYPE_CHECKING:
    from vision2.data.files.listing import FileEntry

MAX_PIXELS = 89_478_485  # Pillow's own limit: a larger image is a decompression bomb, or a scan too large for training
ORIENTATION_TAG = 0x0112
TURNS = {  # by value of the orientation tag
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow warns about (damaged EXIF, a palette with transparency) is handled here; set once, because all threads share it.
warnings.filterwarnings("ignore", module=r"PIL\.")
MOST_ASPECT = 1000  # longer : shorter side; anything beyond is a line, not a picture
WHITE_16_BIT, WHITE_12_BIT = 65_535, 4095
DRAFT_GAP = 2  # a large JPEG is decoded at a reduced size, at least twice the requested one


class BadImage(Exception):
    """The file cannot be decoded; the message gives the reason in a few words."""


def decode_entry(entry: FileEntry, shorter_side_px: int | None = None) -> np.ndarray:
    """Decode a file with `decode_image`. Raises BadImage also for a file that cannot be read."""
    try:
        data = entry.read_bytes()
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror or error}") from error
    return decode_image(data, shorter_side_px=shorter_side_px)


def decode_image(data: bytes, *, shorter_side_px: int | None = None) -> np.ndarray:
    """Decode to (H, W, 3) uint8, upright.

    Args:
        shorter_side_px: scale down to this shorter side, aspect kept; smaller images are not enlarged. Large JPEGs are
            then decoded at a reduced size, which is much faster and looks the same after scaling.

    Raises:
        BadImage: when the file cannot be decoded completely, for any reason.
    """
    if not data:
        raise BadImage("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=pillow_names()) as image:
            return _decode(image, data, shorter_side_px)
    except BadImage:
        raise
    except Image.UnidentifiedImageError as error:
        kind = format_of(data[:HEAD_BYTES])
        raise BadImage((kind and missing_decoder(kind)) or "not an image in a known format") from error
    except MemoryError as error:
        raise BadImage("out of memory") from error
    except Exception as error:  # damaged files raise nearly anything: OSError, SyntaxError, struct.error, IndexError
        raise BadImage(" ".join(str(error).split())[:200] or type(error).__name__) from error


def _decode(image: Image.Image, data: bytes, shorter_side_px: int | None) -> np.ndarray:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width} x {height} pixels, more than the {MAX_PIXELS // 1_000_000} million allowed")
    if max(image.size) > MOST_ASPECT * min(image.size):
        raise BadImage(f"{width} x {height} pixels, more than {MOST_ASPECT} times as long as wide")
    enough = DRAFT_GAP * shorter_side_px if shorter_side_px is not None else width + height
    if image.format == "JPEG" and min(image.size) > enough:  # libjpeg would enlarge smaller ones
        image.draft(None, (enough, enough))
    colours = has_sixteen_bits(image) and not image.mode.startswith("I")
    image.load()
    rgb = _to_rgb(_twelve_bit_colours(image, data) if colours and are_twelve_bits(image) else image)
    rgb = _scaled(rgb, shorter_side_px)
    return np.array(_upright(rgb, image))


def has_sixteen_bits(image: Image.Image) -> bool:
    """Whether the file stores 16-bit integers; asked before the image is loaded."""
    return image.mode.startswith("I") or any(";16" in str(tile.args) for tile in image.tile)


def are_twelve_bits(image: Image.Image) -> bool:
    """Whether no value of a loaded 16-bit image is above 4095. Of colours and grey with alpha Pillow keeps the high byte."""
    values = np.asarray(image)
    if image.mode.startswith("I"):
        return values.max(initial=0) <= WHITE_12_BIT
    return values[..., : len(image.mode.removesuffix("A"))].max(initial=0) <= WHITE_12_BIT >> 8


def _twelve_bit_colours(image: Image.Image, data: bytes) -> Image.Image:
    """The 8-bit image with full contrast: torchvision reads all 16 bits of a PNG."""
    if image.format != "PNG":
        raise BadImage(
            f"12 bits per colour in a 16-bit {image.format}, which Pillow cannot read; save it with 8 bits, or as PNG"
        )
    import torch
    from torchvision.io import ImageReadMode, decode_image

    values = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.UNCHANGED)
    values = values.permute(1, 2, 0).numpy() * (255 / WHITE_12_BIT)
    if image.mode.endswith("A"):
        values[..., -1] *= WHITE_12_BIT / WHITE_16_BIT  # opacity has all 16 bits
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("CMYK", "LAB"):
        return _through_profile(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _through_profile(image: Image.Image) -> Image.Image:
    """Convert to sRGB; Lab without a profile is treated as D50, and a damaged CMYK profile is ignored."""
    embedded = image.info.get("icc_profile")
    try:
        if embedded:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        elif image.mode == "LAB":
            profile = ImageCms.createProfile("LAB")
        else:
            return image.convert("RGB")
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        if image.mode == "LAB":
            raise
        return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values)
        scale = 255.0 if values.max(initial=0.0) <= 1 else 1.0
    else:
        scale = 255 / (WHITE_12_BIT if are_twelve_bits(image) else WHITE_16_BIT)
    grey = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _scaled(image: Image.Image, shorter_side_px: int | None) -> Image.Image:
    """Resize with antialiased bilinear interpolation, the longer side rounded down, as in torchvision's Resize."""
    short, long = sorted(image.size)
    if shorter_side_px is None or short <= shorter_side_px:
        return image
    scaled = max(shorter_side_px, shorter_side_px * long // short)
    size = (shorter_side_px, scaled) if image.width <= image.height else (scaled, shorter_side_px)
    return image.resize(size, Image.Resampling.BILINEAR)


def _upright(rgb: Image.Image, original: Image.Image) -> Image.Image:
    """Rotate by the original's EXIF orientation; a damaged EXIF block is ignored."""
    try:
        turn = TURNS.get(original.getexif().get(ORIENTATION_TAG))
    except Exception:
        return rgb
    return rgb if turn is None else rgb.transpose(turn)
