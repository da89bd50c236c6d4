import io
import tracemalloc

import numpy as np
from made_up_images import pixels
from PIL import Image

from vision2.data.audit import duplicates
from vision2.data.audit.duplicates import difference_hash, exact_groups, near_groups, small_grey


def near(*images):
    hashes = np.array([difference_hash(image) for image in images], dtype=np.uint64)
    return near_groups(hashes, np.stack([small_grey(image) for image in images]))


def recompressed(image, quality=40, scale=0.5):
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale))).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_the_hash_is_the_sign_of_the_horizontal_steps():
    falling = np.repeat(np.linspace(255, 0, 90).astype(np.uint8)[None, :, None], 80, 0).repeat(3, 2)
    assert difference_hash(falling) == 2**64 - 1
    assert difference_hash(falling[:, ::-1]) == 0


def test_a_smaller_recompressed_copy_is_found():
    photos = [pixels(seed, 200, 150) for seed in range(20)]
    assert near(*photos, recompressed(photos[7])) == [[7, 20]]


def test_a_chain_of_copies_is_one_group():
    photo = pixels(1, 300, 200)
    assert near(photo, pixels(2), recompressed(photo, 60), recompressed(photo, 30, 0.3)) == [[0, 2, 3]]


def test_plain_pictures_of_different_brightness_are_not_duplicates():
    assert near(*(np.full((50, 50, 3), level, np.uint8) for level in (0, 60, 120, 180, 240))) == []


def test_mirrored_pictures_are_not_duplicates():
    photo = pixels(3, 200, 150)
    assert near(photo, np.ascontiguousarray(photo[:, ::-1])) == []


def test_all_near_hashes_are_found_across_blocks(monkeypatch):
    """Compared with Python's own bit count over every pair."""
    monkeypatch.setattr(duplicates, "BLOCK", 7 * 40)
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 40, dtype=np.uint64)
    for index in range(20):  # flip up to 7 bits of the first twenty
        flips = rng.choice(63, index % 8, replace=False)
        hashes[20 + index] = int(hashes[index]) ^ sum(1 << int(bit) for bit in flips)
    expected = {(i, j) for j in range(40) for i in range(j) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 5}
    assert {tuple(pair) for pairs in duplicates.near_pairs(hashes) for pair in pairs.tolist()} == expected


def test_no_images_have_no_duplicates():
    assert near_groups(np.empty(0, np.uint64), np.empty((0, 16, 16), np.uint8)) == []


def test_exact_groups_leave_out_files_that_could_not_be_read():
    assert exact_groups(["a", None, "b", "a", None]) == [[0, 3]]


def test_groups_equal_those_of_a_search_over_all_pairs(monkeypatch):
    """Compared with a search from each picture, for different sizes of blocks and parts."""
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**8, 120, dtype=np.uint64)
    small = (rng.integers(0, 8, (120, 1, 1)) * 6 + np.zeros((120, 16, 16))).astype(np.uint8)
    levels = small[:, 0, 0].astype(int)

    def alike(i, j):
        return (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 5 and abs(levels[i] - levels[j]) <= 8

    near = [{j for j in range(120) if alike(i, j)} for i in range(120)]
    expected, seen = [], set()
    for start in range(120):
        group, todo = set(), {start} - seen
        while todo:
            group |= todo
            todo = set.union(*(near[i] for i in todo)) - group
        seen |= group
        expected += [sorted(group)] if len(group) > 1 else []
    for block, pairs in ((2**24, 2**16), (240, 7)):
        monkeypatch.setattr(duplicates, "BLOCK", block)
        monkeypatch.setattr(duplicates, "PAIRS", pairs)
        assert near_groups(hashes, small) == expected


def test_thousands_of_near_identical_pictures_take_little_memory():
    """4,000 pictures make 8 million pairs, whose grey copies would take 8 GB."""
    hashes = np.full(4000, 7, dtype=np.uint64)
    small = np.full((4000, 16, 16), 100, dtype=np.uint8)
    tracemalloc.start()
    (group,) = near_groups(hashes, small)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert group == list(range(4000))
    assert peak < 600e6


def test_two_hundred_thousand_pictures_are_compared_in_blocks_that_fit_in_memory():
    hashes = np.random.default_rng(0).integers(0, 2**63, 200_000, dtype=np.uint64)
    tracemalloc.start()
    next(duplicates.near_pairs(hashes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
