"""CIFAR-10, Flowers-102 and Oxford-IIIT Pet from tiny substitutes with the layout of the real files."""

import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from made_up_images import encoded
from PIL import Image

from vision2.basics.errors import UserError
from vision2.data.dataset import open_dataset
from vision2.data.datasets import cifar10, find_collection
from vision2.data.datasets.cats_vs_dogs import find as find_cats_and_dogs
from vision2.data.datasets.plants import find as find_plants
from vision2.data.files.download import Published
from vision2.data.settings import DatasetConfig
from vision2.data.store import store


def opened(root, **settings):
    config = DatasetConfig(name="cifar10", root=str(root), **settings)
    return open_dataset(config, seed=0, store_px=32)


@pytest.fixture
def export(tmp_path):
    """10 training and 2 test images of each class; the red channel encodes the class."""
    for part, count in (("train", 10), ("test", 2)):
        for label, name in enumerate(cifar10.CLASSES):
            folder = tmp_path / "cifar" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (32, 32), (20 * label, index, 0)).save(folder / f"{index:04d}.png")
    return tmp_path / "cifar"


def test_an_export_is_in_memory_with_labels_that_fit_the_pixels(export):
    data = opened(export)
    assert [len(split) for split in (data.train, data.val, data.test)] == [90, 10, 20]
    assert data.train.images.fixed_size_px == 32
    for split in (data.train, data.val, data.test):
        red = [split.images.read(index)[0, 0, 0] // 20 for index in range(len(split))]
        assert red == split.labels.tolist()
    assert all(name.startswith("test/") for name in data.test.ids)


def test_the_second_start_decodes_nothing(export, monkeypatch):
    first = opened(export)
    monkeypatch.setattr(store, "decode_entry", None)
    assert opened(export).fingerprint == first.fingerprint


@pytest.mark.parametrize("cache", ["off", "memory"])
def test_every_cache_gives_the_same_images_in_memory(export, tmp_path, cache):
    other = opened(export, cache=cache, cache_dir=str(tmp_path / "cache"))
    assert other.fingerprint == opened(export).fingerprint
    assert other.train.images.fixed_size_px == 32
    assert not (tmp_path / "cache").exists()


def test_a_changed_pixel_changes_the_fingerprint(export):
    first = opened(export)
    Image.new("RGB", (32, 32), (0, 1, 0)).save(export / "train" / "airplane" / "0000.png")
    assert opened(export).fingerprint != first.fingerprint


def test_a_bad_file_of_an_export_is_left_out_and_listed(export):
    (export / "train" / "frog" / "0001.png").write_bytes(b"bad")
    data = opened(export)
    assert [entry["path"] for entry in data.report["skipped"]] == ["train/frog/0001.png"]
    red = [data.train.images.read(index)[0, 0, 0] // 20 for index in range(len(data.train))]
    assert red == data.train.labels.tolist()


def test_nothing_is_downloaded_into_a_folder_of_other_photographs(tmp_path):
    (tmp_path / "daisy").mkdir()
    with pytest.raises(UserError, match=r"holds other files and no CIFAR-10.*use dataset=folder"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["daisy"]


def test_exports_that_are_not_cifar10_are_refused(export):
    Image.new("RGB", (40, 32)).save(export / "train" / "cat" / "0001.png")
    with pytest.raises(UserError, match=r"0001\.png is not 32 x 32 px"):
        opened(export)
    (export / "train" / "zebra").mkdir()
    Image.new("RGB", (32, 32)).save(export / "train" / "zebra" / "1.png")
    with pytest.raises(UserError, match="none of the ten class folders"):
        opened(export)


def test_an_export_with_a_missing_class_is_refused(export):
    for path in (export / "test" / "ship").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no images in test/ship"):
        opened(export)


@pytest.fixture
def official(tmp_path, monkeypatch):
    """The Python version's batches with 20 images each; torchvision's hash check always passes."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "official" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for number, name in enumerate(names):
        rows = np.full((20, 3072), number, dtype=np.uint8)
        rows[:, :1024] = np.arange(20)[:, None] % 10  # red: the class
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [index % 10 for index in range(20)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(cifar10.CLASSES)}))
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *args: True)
    return tmp_path / "official"


def test_the_official_files_give_the_official_test_split(official):
    data = opened(official)
    assert data.classes == cifar10.CLASSES
    assert [len(split) for split in (data.train, data.val, data.test)] == [90, 10, 20]
    image = data.test.images.read(3)
    assert (image[..., 0] == data.test.labels[3]).all()
    assert (image[..., 1:] == 5).all()


def test_the_official_archive_is_unpacked_in_its_folder(official, monkeypatch):
    import hashlib
    import shutil

    archive = official / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(official / "cifar-10-batches-py", "cifar-10-batches-py")
    shutil.rmtree(official / "cifar-10-batches-py")
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar10, "ARCHIVE", replace(cifar10.ARCHIVE, md5=digest, addresses=()))
    assert len(opened(official, download=False).train) == 90


def test_the_official_files_cannot_be_audited_and_the_sentence_says_what_can(official):
    config = DatasetConfig(name="cifar10", root=str(official))
    with pytest.raises(UserError, match=r"no image files found .*; set dataset\.root to an export with these folders, because"):
        find_collection(config, files_only=True)


def test_damaged_official_files_are_refused_in_one_sentence(official, monkeypatch):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: False)
    with pytest.raises(UserError, match="are damaged: delete that folder"):
        opened(official)


def test_being_offline_names_the_archive_and_what_to_do(tmp_path, monkeypatch):
    nowhere = Published("cifar-10-python.tar.gz", ("http://127.0.0.1:1/x",), 10, "0" * 32)
    monkeypatch.setattr(cifar10, "ARCHIVE", nowhere)
    with pytest.raises(UserError, match=r"could not download cifar-10-python.tar.gz .*dataset.root="):
        opened(tmp_path)


def test_flowers_have_their_official_splits_and_names(tmp_path):
    from scipy.io import savemat

    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, 7):
        (folder / "jpg" / f"image_{number:05d}.jpg").write_bytes(encoded(number))
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 1, 1, 2, 2, 2]])})
    savemat(folder / "setid.mat", {"trnid": [[1, 4]], "valid": [[2, 5]], "tstid": [[3, 6]]})
    flowers = find_plants(DatasetConfig(name="plants", root=str(tmp_path)))
    assert flowers.parts.tolist() == ["train", "val", "test"] * 2
    names = [flowers.classes[label] for label in flowers.labels]
    assert names == ["pink primrose"] * 3 + ["hard-leaved pocket orchid"] * 3


def test_plants_read_any_tree_of_class_folders(tmp_path):
    for name in ("Tomato___healthy/1.JPG", "Tomato___Leaf_Mold/2.JPG"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(encoded())
    plants = find_plants(DatasetConfig(name="plants", root=str(tmp_path)))
    assert plants.classes == ("Tomato___Leaf_Mold", "Tomato___healthy")


def test_oxford_pets_are_labelled_by_their_species(tmp_path):
    folder = tmp_path / "oxford-iiit-pet"
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    for name in ("Abyssinian_1", "beagle_2", "Bengal_3"):
        (folder / "images" / f"{name}.jpg").write_bytes(encoded())
    (folder / "annotations" / "trainval.txt").write_text("Abyssinian_1 1 1 1\nbeagle_2 5 2 3\n")
    (folder / "annotations" / "test.txt").write_text("Bengal_3 6 1 2\n")
    pets = find_cats_and_dogs(DatasetConfig(name="cats_vs_dogs", root=str(tmp_path), source="oxford_pet"))
    assert pets.classes == ("cat", "dog")
    assert pets.labels.tolist() == [0, 1, 0]
    assert pets.parts.tolist() == ["train", "train", "test"]
