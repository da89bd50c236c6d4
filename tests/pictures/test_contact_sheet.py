from __future__ import annotations

import numpy as np

from vision2.pictures.contact_sheet import Tile, contact_sheet


def test_a_contact_sheet_has_a_row_for_every_six_tiles():
    tiles = [Tile(np.zeros((8, 8, 3), np.uint8), "a very long file name " * 3, "caption", 0.5) for _ in range(7)]
    one, seven = contact_sheet(tiles[:1]), contact_sheet(tiles)
    assert one.shape[1] < 250
    assert seven.shape[0] == 2 * (one.shape[0] - 10) + 10
    assert one[11, 11].tolist() == [0, 0, 0]
