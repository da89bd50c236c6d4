import json

import numpy as np
import pytest
from made_up_images import class_folders, encoded, write_images, zip_of
from PIL import Image

from vision2.basics.errors import UserError
from vision2.data.dataset import open_dataset, open_everything
from vision2.data.settings import DatasetConfig


def opened(name="folder", seed=0, **settings):
    return open_dataset(DatasetConfig(name=name, **settings), seed=seed, store_px=32)


def sizes(data):
    return len(data.train), len(data.val), len(data.test)


@pytest.fixture(scope="module")
def digits():
    return opened("digits")


def test_digits_are_all_1797_rgb_images_in_memory_split_by_class(digits):
    assert sum(sizes(digits)) == 1797
    assert digits.train.images.fixed_size_px == 32
    assert digits.classes == tuple("0123456789")
    assert abs(len(digits.test) - 0.2 * 1797) <= 5
    pixels = digits.train.images.read(0)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_digits_keep_their_picture_when_enlarged(digits):
    """Each 4 x 4 block averages to its original pixel, up to the bilinear blur."""
    from sklearn.datasets import load_digits

    original = load_digits().images[int(digits.train.ids[7].removeprefix("digits/"))]
    small = digits.train.images.read(7)[..., 0].reshape(8, 4, 8, 4).mean((1, 3))
    assert np.corrcoef(small.ravel(), original.ravel())[0, 1] > 0.95


def test_no_image_is_in_two_splits(digits):
    splits = [set(split.ids) for split in (digits.train, digits.val, digits.test)]
    assert sum(map(len, splits)) == len(set.union(*splits))


def test_labels_ids_and_images_stay_together(digits):
    from sklearn.datasets import load_digits

    target = load_digits().target
    for split in (digits.train, digits.val, digits.test):
        assert split.labels.tolist() == [int(target[int(name[-4:])]) for name in split.ids]


def test_the_fingerprint_is_stable_and_differs_by_split_subset_and_noise(digits):
    assert opened("digits").fingerprint == digits.fingerprint
    changed = [{"seed": 1}, {"fraction": 0.5}, {"label_noise": 0.1}, {"classes": ["0", "1"]}, {"val_fraction": 0.2}]
    prints = {opened("digits", **change).fingerprint for change in changed}
    assert len(prints | {digits.fingerprint}) == len(changed) + 1


def test_with_a_split_seed_the_seed_draws_the_training_subset_only(tmp_path):
    class_folders(tmp_path, cat=20, dog=20)
    settings = {"root": str(tmp_path), "split_seed": 7, "eval_fraction": 0.5, "shots_per_class": 3}
    one, other = (opened(seed=seed, **settings) for seed in (1, 2))
    assert (one.test.ids, one.val.ids) == (other.test.ids, other.val.ids)
    assert sorted(one.train.ids) != sorted(other.train.ids)
    everything = {**settings, "shots_per_class": None}
    assert opened(seed=1, **everything).fingerprint == opened(seed=2, **everything).fingerprint
    assert opened(seed=7, root=str(tmp_path)).fingerprint == opened(seed=1, root=str(tmp_path), split_seed=7).fingerprint
    assert opened(seed=1, root=str(tmp_path), split_seed=0).fingerprint == opened(seed=0, root=str(tmp_path)).fingerprint


def test_statistics_are_those_of_the_training_pixels(digits):
    images = np.stack([digits.train.images.read(index) for index in range(len(digits.train))]) / 255
    mean, std = digits.statistics()
    assert np.allclose(mean, images.mean((0, 1, 2)))
    assert np.allclose(std, images.std((0, 1, 2)))


def test_statistics_of_flat_colours_are_known(tmp_path):
    for name, colour in {"a": (255, 0, 51), "b": (0, 0, 51)}.items():
        (tmp_path / name).mkdir()
        for index in range(10):
            Image.new("RGB", (40, 40), colour).save(tmp_path / name / f"{index}.png")
    mean, std = opened(root=str(tmp_path)).statistics()
    assert mean == pytest.approx((0.5, 0.0, 0.2), abs=1e-6)
    assert std == pytest.approx((0.5, 1 / 255, 1 / 255), abs=1e-6)  # a flat channel must not divide by zero


def test_the_split_record_is_json_and_names_every_image_and_changed_label():
    data = opened("digits", label_noise=0.1)
    record = json.loads(json.dumps(data.split_record()))
    assert record["splits"]["test"]["ids"] == list(data.test.ids)
    noise = record["report"]["label_noise"]
    assert len(noise) == pytest.approx(0.1 * len(data.train), abs=10)
    first = noise[0]
    position = record["splits"]["train"]["ids"].index(first["id"])
    assert record["classes"][record["splits"]["train"]["labels"][position]] == first["given"] != first["true"]


def test_a_folder_is_opened_and_counted(tmp_path):
    data = opened(root=str(class_folders(tmp_path, ash=20, oak=10)))
    assert sizes(data) == (21, 3, 6)
    assert data.report["counts"]["test"] == {"ash": 4, "oak": 2}
    assert data.train.images.read(0).shape[2] == 3


def test_a_zip_gives_the_same_images_as_its_folder(tmp_path):
    class_folders(tmp_path / "in", ash=10, oak=10)
    packed, plain = (opened(root=str(root)) for root in (zip_of(tmp_path / "in", tmp_path / "x.zip"), tmp_path / "in"))
    assert packed.fingerprint == plain.fingerprint
    assert (packed.train.images.read(3) == plain.train.images.read(3)).all()


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(tmp_path):
    one, two = (opened(root=str(class_folders(tmp_path / name, ash=8, oak=8))) for name in ("x", "deep/er"))
    assert one.fingerprint == two.fingerprint


def test_files_that_cannot_be_decoded_are_left_out_and_listed(tmp_path):
    class_folders(tmp_path, ash=20, oak=20)
    (tmp_path / "ash" / "0003.jpg").write_bytes(b"no image")
    (tmp_path / "oak" / "0005.jpg").write_bytes(b"")
    data = opened(root=str(tmp_path))
    assert [entry["path"] for entry in data.report["skipped"]] == ["ash/0003.jpg", "oak/0005.jpg"]
    assert all(entry["reason"] for entry in data.report["skipped"])
    assert sum(sizes(data)) == 38
    everyone = data.train.ids + data.val.ids + data.test.ids
    assert "ash/0003.jpg" not in everyone


def test_images_stay_with_their_labels_when_others_are_left_out(tmp_path):
    for index in range(30):
        for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (40, 40), colour).save(tmp_path / name / f"{index:02d}.png")
    (tmp_path / "blue" / "00.png").write_bytes(b"bad")
    data = opened(root=str(tmp_path))
    for split in (data.train, data.val, data.test):
        reddest = [int(split.images.read(index)[..., 0].mean() > 128) for index in range(len(split))]
        assert reddest == split.labels.tolist()


def test_too_many_bad_files_stop_with_the_count_and_the_remedy(tmp_path):
    class_folders(tmp_path, ash=10, oak=10)
    for index in range(3):
        (tmp_path / "ash" / f"{index:04d}.jpg").write_bytes(b"bad")
    with pytest.raises(UserError, match=r"3 of 20 .*max_bad_share"):
        opened(root=str(tmp_path))
    assert len(opened(root=str(tmp_path), max_bad_share=0.2).report["skipped"]) == 3


def test_a_class_without_a_decodable_image_is_named(tmp_path):
    class_folders(tmp_path, ash=20, oak=1)
    (tmp_path / "oak" / "0000.jpg").write_bytes(b"bad")
    with pytest.raises(
        UserError,
        match=r"no image of oak can be decoded \(first bad file: oak/0000\.jpg.*\); replace the files$",
    ):
        opened(root=str(tmp_path))


def test_the_bad_file_that_is_named_belongs_to_the_class_that_is_named(tmp_path):
    class_folders(tmp_path, ash=30, elm=30, oak=1)
    (tmp_path / "ash" / "0000.jpg").write_bytes(b"bad")
    (tmp_path / "oak" / "0000.jpg").write_bytes(b"bad")
    with pytest.raises(UserError, match=r"no image of oak can be decoded \(first bad file: oak/0000\.jpg"):
        opened(root=str(tmp_path), max_bad_share=0.2)


@pytest.mark.parametrize(("more", "advised"), [({"elm": 20}, True), ({}, False)])
def test_leaving_a_class_out_is_advised_only_if_two_are_left(tmp_path, more, advised):
    class_folders(tmp_path, ash=20, oak=1, **more)
    (tmp_path / "oak" / "0000.jpg").write_bytes(b"bad")
    with pytest.raises(UserError, match="replace the file") as caught:
        opened(root=str(tmp_path))
    assert ("dataset.classes" in str(caught.value)) == advised


def test_groups_separated_by_split_folders_are_reported(tmp_path):
    names = [f"{part}/{kind}/plant{n}_1.jpg" for part in ("train", "test") for kind in "ab" for n in range(10)]
    data = opened(root=str(write_images(tmp_path, names)), group_pattern=r"(./plant\d+)_")
    assert len(data.report["groups"]["on_two_sides"]) == 20


def test_shots_do_not_reduce_validation_and_test(tmp_path):
    root = str(class_folders(tmp_path, ash=20, oak=20))
    few, all_of_it = opened(root=root, shots_per_class=2), opened(root=root)
    assert len(few.train) == 4
    assert few.val.ids == all_of_it.val.ids
    assert few.test.ids == all_of_it.test.ids


def test_cats_and_dogs_train_from_a_zip_of_the_flat_layout(tmp_path):
    names = [f"train/{animal}.{index}.jpg" for animal in ("cat", "dog") for index in range(10)]
    data = opened("cats_vs_dogs", root=str(zip_of(write_images(tmp_path / "in", names), tmp_path / "dogs.zip")))
    assert data.classes == ("cat", "dog")
    assert sizes(data) == (14, 2, 4)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cifar10", "cifar-10-batches-py.*dataset.root=.*dataset.download=true"),
        ("cats_vs_dogs", "kagglecatsanddogs.*dataset.root=.*dataset.source=microsoft"),
        ("plants", "flowers-102.*dataset.root=.*dataset.download=true"),
    ],
)
def test_missing_data_are_reported_in_one_sentence_with_place_and_remedy(tmp_path, name, says):
    with pytest.raises(UserError, match=says) as caught:
        opened(name, download=False, cache_dir=str(tmp_path))
    assert len(caught.value.problems) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_training_images_only_is_refused_for_an_evaluation(tmp_path):
    write_images(tmp_path, ["a/1.jpg", "b/2.jpg"])
    (tmp_path / "l.csv").write_text("path,label,split\na/1.jpg,a,train\nb/2.jpg,b,train\n")
    config = DatasetConfig(name="folder", root=str(tmp_path / "l.csv"))
    with pytest.raises(UserError, match=r"l\.csv has training images only; set dataset\.root to the folder of the images to"):
        open_everything(config, store_px=32)


@pytest.mark.parametrize("name", ["cats_vs_dogs", "plants"])
def test_an_unknown_archive_is_an_error(name):
    with pytest.raises(UserError, match=r"dataset.source: unknown archive 'kaggle'"):
        opened(name, source="kaggle")


@pytest.mark.parametrize("name", ["cifar10", "cats_vs_dogs", "plants", "folder"])
def test_a_wrong_root_starts_no_download_and_creates_no_folder(tmp_path, name):
    with pytest.raises(UserError, match="does not exist; the nearest existing folder is"):
        opened(name, root=str(tmp_path / "typo"))
    assert list(tmp_path.iterdir()) == []


def test_encoded_pictures_differ():
    """The other tests rely on this."""
    assert encoded(1) != encoded(2)
