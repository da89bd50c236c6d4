from collections import Counter

import numpy as np
import pytest

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.collection import Collection, keep_classes
from vision2.data.datasets import find_collection
from vision2.data.settings import DatasetConfig
from vision2.data.splits import find_groups, groups_on_two_sides, split_parts
from vision2.data.subsets import evaluation_subset, training_subset


def collection(*counts, parts=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    ids = tuple(f"{'abcdefghij'[label]}/{index:05d}" for index, label in enumerate(labels))
    parts = np.full(len(labels), "", dtype="<U5") if parts is None else np.array(parts, dtype="<U5")
    return Collection(tuple("abcdefghij"[: len(counts)]), labels, ids, parts)


def split(images, seed=0, val=0.1, test=0.2, pattern=None):
    groups, _ = find_groups(images.ids, pattern)
    return split_parts(images, seed=seed, val_fraction=val, test_fraction=test, groups=groups)


def test_the_split_is_stratified_exactly():
    images = collection(100, 50, 10)
    parts = split(images)
    counts = {part: np.bincount(images.labels[parts == part]).tolist() for part in ("train", "val", "test")}
    assert counts == {"test": [20, 10, 2], "val": [8, 4, 1], "train": [72, 36, 7]}


def test_the_split_depends_on_the_seed_only():
    images = collection(40, 40)
    assert (split(images, seed=3) == split(images, seed=3)).all()
    assert (split(images, seed=3) != split(images, seed=4)).any()


@pytest.mark.parametrize("seed", range(5))
def test_images_on_their_own_are_split_as_groups_of_one_are(seed):
    images = collection(31, 8, 77, 5, 12, parts=["train"] * 130 + ["test"] * 3)
    kept = images.parts == "train"
    parts = split(images, seed=seed, val=0.15)
    assert (parts[kept] == greedy(images.labels[kept], [[index] for index in range(kept.sum())], seed, 0.15)).all()
    assert (parts[~kept] == "test").all()


def greedy(labels, bundles, seed, fraction):
    """Visit bundles in random order, and take those that bring the counts closer to the wanted ones."""
    parts, want = np.full(len(labels), "train", dtype="<U5"), fraction * np.bincount(labels)
    have = np.zeros_like(want)
    for position in numpy_stream(seed, "split", 1).permutation(len(bundles)):
        more = np.bincount(labels[bundles[position]], minlength=len(want))
        if ((want - have - more) ** 2).sum() < ((want - have) ** 2).sum():
            parts[bundles[position]], have = "val", have + more
    return parts


def test_the_test_split_does_not_change_with_the_validation_share():
    images = collection(50, 50)
    assert ((split(images, val=0.1) == "test") == (split(images, val=0.4) == "test")).all()


def test_validation_never_comes_from_a_predefined_test_split():
    images = collection(60, 60, parts=(["train"] * 50 + ["test"] * 10) * 2)
    parts = split(images)
    assert (parts[images.parts == "test"] == "test").all()
    assert Counter(parts.tolist()) == {"train": 90, "val": 10, "test": 20}


def test_predefined_splits_are_kept():
    parts = ["train", "val", "test"] * 20
    assert split(collection(30, 30, parts=parts)).tolist() == parts


def test_cifar10_is_split_45_5_10_thousand():
    images = collection(*[6000] * 10, parts=(["train"] * 5000 + ["test"] * 1000) * 10)
    assert Counter(split(images).tolist()) == {"train": 45_000, "val": 5_000, "test": 10_000}


def test_pictures_of_one_plant_stay_in_one_split():
    ids = tuple(f"{kind}/plant{plant}_{view}.jpg" for kind in "ab" for plant in range(30) for view in range(4))
    images = Collection(("a", "b"), np.repeat([0, 1], 120), ids, np.full(240, "", dtype="<U5"))
    groups, facts = find_groups(ids, r"(./plant\d+)_")
    parts = split_parts(images, seed=0, val_fraction=0.1, test_fraction=0.2, groups=groups)
    assert facts["groups"] == 60
    assert groups_on_two_sides(groups, parts) == []
    test = np.bincount(images.labels[parts == "test"])
    assert (np.abs(test - 24) <= 2).all()  # 20 % of 120, in whole plants of 4


def test_groups_separated_by_predefined_splits_are_reported():
    ids = ("train/p1_a.jpg", "test/p1_b.jpg", "train/p2_a.jpg")
    groups, _ = find_groups(ids, r"(p\d)")
    assert groups_on_two_sides(groups, np.array(["train", "test", "train"])) == ["p1"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(", r"not a regular expression .*an example is"), (r"p\d", "needs a"), ("(nothing)", "matches none .*correct it")],
)
def test_wrong_group_patterns_are_explained(pattern, says):
    with pytest.raises(UserError, match=says):
        find_groups(("a/p1.jpg",), pattern)


@pytest.mark.parametrize(("counts", "says"), [((2, 2), "test split"), ((4, 4), "val split")])
def test_too_few_images_for_a_split_are_refused_naming_the_setting(counts, says):
    with pytest.raises(UserError, match=f"{says}.*raise dataset"):
        split(collection(*counts))


def test_a_class_without_training_images_is_named():
    with pytest.raises(UserError, match="no training image is left for a"):
        split(collection(1, 50), test=0.6)


def test_classes_keep_their_order_and_images():
    images = keep_classes(collection(3, 4, 5), ["c", "a"])
    assert images.classes == ("a", "c")
    assert np.bincount(images.labels).tolist() == [3, 5]
    assert all(name.startswith(("a/", "c/")) for name in images.ids)


@pytest.mark.parametrize("wanted", [["a"], ["a", "a"], []])
def test_fewer_than_two_classes_are_refused(wanted):
    with pytest.raises(UserError, match=r"dataset\.classes names \d class.*at least two"):
        keep_classes(collection(3, 4, 5), wanted)


def test_an_unknown_class_is_an_error_with_a_suggestion():
    images = Collection(("daisy", "rose"), np.array([0, 1]), ("1", "2"), np.array(["", ""]))
    with pytest.raises(UserError, match="no class 'rise', did you mean 'rose'"):
        keep_classes(images, ["daisy", "rise"])


def subset(labels, seed=0, **settings):
    num = labels.max() + 1
    return training_subset(labels, tuple("abcdefghij"[:num]), DatasetConfig(name="folder", **settings), seed=seed)


LABELS = np.tile(np.arange(4), 200)


def test_fractions_are_stratified_and_nested():
    smaller = None
    for fraction in (0.01, 0.05, 0.1, 0.5, 1.0):
        kept, labels = subset(LABELS, fraction=fraction)
        assert np.bincount(labels).tolist() == [round(200 * fraction)] * 4
        assert smaller is None or set(smaller) <= set(kept.tolist())
        smaller = kept.tolist()


def test_shots_are_nested_and_the_same_images_as_the_fraction_of_that_size():
    five, ten = (subset(LABELS, shots_per_class=shots)[0] for shots in (5, 10))
    assert set(five.tolist()) < set(ten.tolist())
    assert ten.tolist() == subset(LABELS, fraction=0.05)[0].tolist()


def test_everything_is_kept_in_order_by_default():
    kept, labels = subset(LABELS)
    assert kept.tolist() == list(range(800))
    assert (labels == LABELS).all()


def test_imbalance_is_exponential_with_the_requested_ratio():
    _, labels = subset(np.tile(np.arange(4), 1000), imbalance=8)
    assert np.bincount(labels).tolist() == [1000, 500, 250, 125]


def test_imbalance_of_an_uneven_set_still_has_the_ratio():
    _, labels = subset(np.repeat([0, 1], [500, 800]), imbalance=10)
    assert np.bincount(labels).tolist() == [500, 50]


def test_label_noise_has_the_requested_share_in_every_nested_subset():
    for fraction in (0.1, 0.5, 1.0):
        kept, labels = subset(LABELS, fraction=fraction, label_noise=0.2)
        wrong = labels != LABELS[kept]
        for label in range(4):
            of_class = LABELS[kept] == label
            assert abs(wrong[of_class].sum() - 0.2 * of_class.sum()) <= 1


def test_the_smaller_subset_has_the_noise_of_the_larger_one():
    large = dict(zip(*(array.tolist() for array in subset(LABELS, fraction=0.5, label_noise=0.3)), strict=True))
    kept, labels = subset(LABELS, fraction=0.1, label_noise=0.3)
    assert [large[index] for index in kept.tolist()] == labels.tolist()


def test_full_label_noise_leaves_no_label_right():
    _, labels = subset(LABELS, label_noise=1.0)
    assert (labels != LABELS).all()


def test_noise_does_not_change_which_images_are_kept():
    assert subset(LABELS, fraction=0.1)[0].tolist() == subset(LABELS, fraction=0.1, label_noise=0.5)[0].tolist()


def test_more_shots_than_images_are_refused_with_the_possible_number():
    with pytest.raises(UserError, match=r"shots_per_class=9 is more than the 3 training images of 'b'; set it to at most 3"):
        subset(np.array([0] * 20 + [1] * 3), shots_per_class=9)


@pytest.mark.parametrize("settings", [{"fraction": 0.0}, {"shots_per_class": 2, "fraction": 0.5}])
def test_contradictory_sizes_are_refused(settings):
    with pytest.raises(UserError, match=r"dataset\."):
        find_collection(DatasetConfig(name="digits", **settings))


def test_a_part_of_an_evaluation_split_is_stratified_and_nested():
    labels = np.repeat([0, 1, 2], [100, 50, 3])
    tenth, fifth = (set(evaluation_subset(labels, 3, share, seed=4).tolist()) for share in (0.1, 0.2))
    assert np.bincount(labels[sorted(tenth)]).tolist() == [10, 5, 1]
    assert tenth < fifth
