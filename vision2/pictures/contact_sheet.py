"""Many pictures on one page, each with a name, a caption and a probability bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
THUMBNAIL_PX = 180
MARGIN_PX = 10
LINE_PX = 18
BAR_PX = 4
FONT_PX = 13
TEXT, GREY, BAR, EMPTY = "#1b1f24", "#6b7280", "#0072B2", "#e3e6ea"


@dataclass(frozen=True)
class Tile:
    """A picture (H, W, 3) uint8, its name (in grey), its caption (in black) and the bar's share in [0, 1] (None: no bar)."""

    picture: np.ndarray
    name: str
    caption: str
    share: float | None = None


def contact_sheet(tiles: Sequence[Tile]) -> np.ndarray:
    """Arrange at least one tile in rows, as a picture (H, W, 3) uint8."""
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = THUMBNAIL_PX + MARGIN_PX, THUMBNAIL_PX + BAR_PX + 2 * LINE_PX + MARGIN_PX
    page = Image.new("RGB", (columns * width + MARGIN_PX, rows * height + MARGIN_PX), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(FONT_PX)
    for index, tile in enumerate(tiles):
        left, top = MARGIN_PX + index % columns * width, MARGIN_PX + index // columns * height
        page.paste(_thumbnail(tile.picture), (left, top))
        bar = top + THUMBNAIL_PX
        if tile.share is not None:
            draw.rectangle((left, bar, left + THUMBNAIL_PX - 1, bar + BAR_PX - 1), fill=EMPTY)
            draw.rectangle((left, bar, left + round(THUMBNAIL_PX * tile.share) - 1, bar + BAR_PX - 1), fill=BAR)
        lines = ((tile.caption, TEXT, bar + BAR_PX + 1), (tile.name, GREY, bar + BAR_PX + LINE_PX))
        for text, colour, y in lines:
            draw.text((left, y), _fitting(text, font), fill=colour, font=font)
    return np.asarray(page)


def _thumbnail(picture: np.ndarray) -> Image.Image:
    """The picture as a square; the pixels of small images stay visible."""
    small = max(picture.shape[:2]) * 2 <= THUMBNAIL_PX
    how = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    return Image.fromarray(picture).resize((THUMBNAIL_PX, THUMBNAIL_PX), how)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, shortened in the middle if it is too long: both ends of a file name matter."""
    if font.getlength(text) <= THUMBNAIL_PX:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= THUMBNAIL_PX:
            return short
    return text[:1]
