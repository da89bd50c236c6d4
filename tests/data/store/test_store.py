from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL
import pytest
from made_up_images import class_folders, encoded, zip_of

from vision2.basics.errors import UserError
from vision2.data.files.decode import BadImage
from vision2.data.files.listing import FileEntry, list_images
from vision2.data.settings import DatasetConfig
from vision2.data.store import image_sources
from vision2.data.store import store as store_module
from vision2.data.store.image_sources import TensorImages
from vision2.data.store.store import decode_entry, open_store, store_key
from vision2.data.store.store_folder import delete_store, list_stores

ROOT = Path(__file__).resolve().parents[3]
CACHES = ("off", "memory", "disk")


@pytest.fixture
def photos(tmp_path):
    """Twelve images of 40 x 30 px in two classes, and two files that are not images."""
    root = class_folders(tmp_path / "photos", cat=6, dog=6)
    (root / "cat/0003.jpg").write_bytes(b"")
    (root / "dog/0001.jpg").write_bytes(encoded(9)[:300])
    return root


def opened(root, cache="disk", *, cache_dir, **options):
    settings = {"cache": cache, "cache_dir": str(cache_dir), "cache_gb": 1.0, "max_bad_share": 0.5} | options
    store_px = settings.pop("store_px", 24)
    config = DatasetConfig("folder", **settings)
    return open_store(list_images(Path(root)), config, store_px=store_px)[:2]


SCRIPT = """
import os, resource, sys, time
from pathlib import Path
from vision2.basics.errors import UserError
from vision2.data.store import store
from vision2.data.files.listing import list_images
from vision2.data.settings import DatasetConfig

root, cache, mode = sys.argv[1:4]
real, decoded = store.decode_entry, []

def decode(entry, store_px):
    decoded.append(entry.id)
    if mode == "slow":
        time.sleep(0.03)
    if mode == "stops" and len(decoded) > 8:
        print("half-way\\n", end="", flush=True)
        time.sleep(60)
    return real(entry, store_px)

store.decode_entry = decode
if mode == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
try:
    config = DatasetConfig("folder", cache_dir=cache, cache_gb=1.0, max_bad_share=0.5)
    images, bad, _ = store.open_store(list_images(Path(root)), config, store_px=24)
except UserError as error:
    sys.exit(f"error: {error}")
good = [i for i in range(len(images)) if i not in bad]
if mode == "reads":
    print("reading\\n", end="", flush=True)
    time.sleep(60)
print(len(decoded), sum(int(images.read(i).astype(int).sum()) for i in good), flush=True)
"""


def start(root, cache, mode) -> subprocess.Popen:
    words = [sys.executable, "-c", SCRIPT, str(root), str(cache), mode]
    return subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("cache", CACHES)
def test_every_cache_gives_the_pixels_of_one_decoding_function(cache, photos, tmp_path):
    files = list_images(photos)
    images, bad = opened(photos, cache, cache_dir=tmp_path / "cache")
    assert len(images) == len(files)
    assert images.fixed_size_px is None
    for index in set(range(len(files))) - set(bad):
        np.testing.assert_array_equal(images.read(index), decode_entry(files[index], 24))
        assert images.read(index).shape == (24, 32, 3)


@pytest.mark.parametrize("cache", CACHES)
def test_bad_files_are_listed_with_a_reason_and_cannot_be_read(cache, photos, tmp_path):
    images, bad = opened(photos, cache, cache_dir=tmp_path / "cache")
    files = list_images(photos)
    assert {index: files[index].id for index in bad} == {3: "cat/0003.jpg", 7: "dog/0001.jpg"}
    assert "empty" in bad[3]
    assert "truncated" in bad[7].lower()
    with pytest.raises(BadImage):
        images.read(3)
    assert opened(photos, cache, cache_dir=tmp_path / "cache")[1] == bad


@pytest.mark.parametrize("cache", CACHES)
def test_too_many_bad_files_are_refused_in_one_sentence(cache, photos, tmp_path):
    with pytest.raises(UserError, match="2 of 12 images cannot be decoded"):
        opened(photos, cache, cache_dir=tmp_path / "cache", max_bad_share=0.1)


@pytest.mark.parametrize("cache", CACHES)
def test_a_selection_keeps_the_requested_order(cache, photos, tmp_path):
    images, _ = opened(photos, cache, cache_dir=tmp_path / "cache")
    chosen = images.select([5, 0, 5]).select(np.array([2, 1]))
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen.read(0), images.read(5))
    np.testing.assert_array_equal(chosen.read(1), images.read(0))


@pytest.mark.parametrize("cache", CACHES)
def test_small_squares_of_one_size_become_one_tensor(cache, tmp_path):
    root = tmp_path / "small"
    for index in range(5):
        (root / "a").mkdir(parents=True, exist_ok=True)
        (root / f"a/{index}.png").write_bytes(encoded(index, "PNG", width=32, height=32))
    (root / "a/2.png").write_bytes(b"broken")
    images, bad = opened(root, cache, cache_dir=tmp_path / "cache", store_px=224)
    assert isinstance(images, TensorImages)
    assert images.fixed_size_px == 32
    assert list(bad) == [2]
    for index in (0, 1, 3, 4):
        np.testing.assert_array_equal(images.read(index), decode_entry(list_images(root)[index], 224))


def test_the_hash_of_small_images_is_read_from_their_store_and_equals_that_of_the_pixels(tmp_path, monkeypatch):
    root = tmp_path / "small"
    (root / "a").mkdir(parents=True)
    for index in range(4):
        (root / f"a/{index}.png").write_bytes(encoded(index, "PNG", width=32, height=32))
    (root / "a/1.png").write_bytes(b"broken")
    images, bad = opened(root, cache_dir=tmp_path / "cache")
    assert list(bad) == [1]
    good, two = images.select([0, 2, 3]), images.select([3, 0])
    pixels = np.stack([good.read(index) for index in range(3)])
    assert good.digest() == hashlib.blake2b(pixels.tobytes() + np.arange(3).tobytes(), digest_size=16).hexdigest()
    assert two.digest() == hashlib.blake2b(pixels.tobytes() + np.array([2, 0]).tobytes(), digest_size=16).hexdigest()
    monkeypatch.setattr(image_sources, "hashlib", None)
    assert opened(root, cache_dir=tmp_path / "cache")[0].select([0, 2, 3]).digest() == good.digest()


def test_images_inside_a_zip_are_stored_too(photos, tmp_path):
    images, _ = opened(zip_of(photos, tmp_path / "photos.zip"), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(images.read(0), decode_entry(list_images(photos)[0], 24))


def test_a_second_opening_decodes_nothing(photos, tmp_path, monkeypatch):
    first, _ = opened(photos, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(store_module, "decode_entry", None)
    second, bad = opened(photos, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(first.read(0), second.read(0))
    assert len(bad) == 2


def test_the_key_depends_on_content_place_and_size(photos, tmp_path):
    files = list_images(photos)
    keys = {store_key(files, 24), store_key(files, 25), store_key(files[1:], 24)}
    os.utime(photos / "cat/0000.jpg", ns=(1, 1))
    keys.add(store_key(list_images(photos), 24))
    (photos / "cat/0000.jpg").write_bytes(encoded(77))
    os.utime(photos / "cat/0000.jpg", ns=(1, 1))
    keys.add(store_key(list_images(photos), 24))
    moved = photos.rename(tmp_path / "moved")
    keys.add(store_key(list_images(moved), 24))
    assert len(keys) == 6


def test_the_key_hashes_absolute_path_member_size_and_time_of_each_file(photos, tmp_path, monkeypatch):
    """As in every earlier version, so that their stores are found: `blake2b` over one tuple for each file."""
    packed = zip_of(photos, tmp_path / "photos.zip")
    monkeypatch.chdir(tmp_path)
    gone = FileEntry("gone.jpg", "gone.jpg")
    files = [*list_images(Path("photos")), *list_images(packed), gone, FileEntry("./photos/../x'\udce9.jpg", "x.jpg")]
    expected = hashlib.blake2b(f"{store_module.VERSION} {PIL.__version__} 24".encode(), digest_size=12)
    for entry in files:
        place = Path(os.path.abspath(entry.path))  # noqa: PTH100 - as before, links stay as they are
        state = (place.stat().st_size, place.stat().st_mtime_ns) if place.exists() else (-1, -1)
        expected.update(repr((str(place), entry.member, *state)).encode())
    assert store_key(files, 24) == expected.hexdigest()


def test_two_processes_that_want_the_same_store_build_it_once(photos, tmp_path):
    builders = [start(photos, tmp_path / "cache", "slow") for _ in range(2)]
    outputs = [builder.communicate(timeout=60) for builder in builders]
    decoded, sums = zip(*(output.split() for output, _ in outputs), strict=True)
    assert sorted(decoded) == ["0", "12"], outputs
    assert sums[0] == sums[1]
    assert len(list_stores(tmp_path / "cache/stores")) == 1


def test_a_builder_killed_halfway_leaves_nothing_that_looks_like_a_store(photos, tmp_path):
    folder = tmp_path / "cache/stores"
    builder = start(photos, tmp_path / "cache", "stops")
    assert builder.stdout.readline().startswith("half-way")
    assert len(list(folder.glob(".*.building"))) == 1
    builder.kill()
    builder.communicate(timeout=20)
    assert list_stores(folder) == []
    assert not list(folder.glob(".*"))
    images, _ = opened(photos, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(images.read(0), decode_entry(list_images(photos)[0], 24))


def test_a_store_that_another_process_is_building_is_left_alone(photos, tmp_path):
    builder = start(photos, tmp_path / "cache", "stops")
    assert builder.stdout.readline().startswith("half-way")
    assert list_stores(tmp_path / "cache/stores") == []
    assert len(list((tmp_path / "cache/stores").glob(".*.building"))) == 1
    builder.kill()
    builder.communicate(timeout=20)


def test_a_full_disk_is_reported_in_one_sentence_and_leaves_nothing(photos, tmp_path):
    _, errors = start(photos, tmp_path / "cache", "full").communicate(timeout=60)
    assert errors.startswith("error: the disk is full"), errors
    assert "dataset.cache_dir" in errors
    assert len(errors.splitlines()) == 1
    assert [path.name for path in (tmp_path / "cache/stores").iterdir() if path.suffix != ".lock"] == []


def test_a_cache_folder_that_cannot_be_created_is_reported_in_one_sentence(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot use the cache folder .*dataset\.cache=memory"):
        opened(photos, cache_dir=tmp_path / "file")


def test_a_damaged_store_is_built_again(photos, tmp_path):
    opened(photos, cache_dir=tmp_path / "cache")
    (store,) = list_stores(tmp_path / "cache/stores")
    with (store.path / "pixels.bin").open("r+b") as stream:
        stream.truncate(100)
    images, _ = opened(photos, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(images.read(11), decode_entry(list_images(photos)[11], 24))


def test_the_least_recently_used_store_is_deleted_when_room_is_needed(photos, tmp_path):
    cache = tmp_path / "cache"
    sizes = {}
    for age, store_px in enumerate((20, 22, 24)):
        opened(photos, cache_dir=cache, store_px=store_px)
        newest = list_stores(cache / "stores")[-1]
        sizes[store_px] = newest.bytes
        os.utime(newest.path / "meta.json", (1000 + age, 1000 + age))
    opened(photos, cache_dir=cache, store_px=20)  # used again: now 22 is the oldest
    limit = (sum(sizes.values()) + 1) / 1e9
    opened(photos, cache_dir=cache, store_px=21, cache_gb=limit)
    assert {store.store_px for store in list_stores(cache / "stores")} == {20, 21, 24}


def test_a_store_in_use_is_never_deleted(photos, tmp_path):
    cache = tmp_path / "cache"
    images, _ = opened(photos, cache_dir=cache, store_px=20)
    (store,) = list_stores(cache / "stores")
    assert not delete_store(store.path)
    with pytest.raises(UserError, match=r"dataset\.cache_gb"):
        opened(photos, cache_dir=cache, store_px=24, cache_gb=store.bytes * 1.2 / 1e9)
    part = images.select([0])
    del images
    assert not delete_store(store.path)
    del part
    assert delete_store(store.path)
    assert list((cache / "stores").glob(f"*{store.path.name}*")) == []


def test_a_store_that_another_process_reads_is_kept_until_that_process_ends(photos, tmp_path):
    reader = start(photos, tmp_path / "cache", "reads")
    assert reader.stdout.readline().startswith("reading")
    (store,) = list_stores(tmp_path / "cache/stores")
    assert not delete_store(store.path)
    images, _ = opened(photos, cache_dir=tmp_path / "cache")  # a second reader does not wait for the first
    reader.kill()
    reader.communicate(timeout=20)
    assert not delete_store(store.path)
    del images
    assert delete_store(store.path)
    assert list((tmp_path / "cache/stores").iterdir()) == []


def test_readers_that_ended_leave_no_files_that_accumulate(photos, tmp_path):
    for _ in range(3):
        opened(photos, cache_dir=tmp_path / "cache")
    (store,) = list_stores(tmp_path / "cache/stores")
    assert len(list(store.path.glob("*.reader"))) <= 1


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_reported_in_one_sentence_with_the_settings(photos, tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match=r"that has file locks, or dataset\.cache=memory or off") as caught:
        opened(photos, cache_dir=tmp_path / "cache")
    assert len(caught.value.problems) == 1
    assert len(opened(photos, "memory", cache_dir=tmp_path / "cache")[0]) == 12


def test_a_limit_of_zero_stores_nothing(photos, tmp_path):
    with pytest.raises(UserError, match=r"dataset\.cache_gb=0 "):
        opened(photos, cache_dir=tmp_path / "cache", cache_gb=0.0)
    assert list_stores(tmp_path / "cache/stores") == []


def test_reading_a_store_does_not_change_it(photos, tmp_path):
    images, _ = opened(photos, cache_dir=tmp_path / "cache")
    (store,) = list_stores(tmp_path / "cache/stores")
    before = (store.path / "pixels.bin").read_bytes()
    view = images.read(0)
    view[:] = 0
    assert (store.path / "pixels.bin").read_bytes() == before
    assert time.time() - store.used < 60
