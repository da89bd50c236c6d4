"""Episodes are drawn by seed, epoch and number only, without overlap, and smaller ones are part of larger ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision2.basics.errors import UserError
from vision2.data.episodes import Episodes, Shape, check_episodes

NAMES = ("a", "b", "c", "d", "e")


def labels_of(counts) -> np.ndarray:
    """`counts[k]` images of class k, in mixed order."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


@st.composite
def labels_and_shape(draw):
    shape = Shape(way=draw(st.integers(2, 5)), shot=draw(st.integers(1, 3)), query=draw(st.integers(1, 4)))
    classes = draw(st.integers(shape.way, 6))
    need = shape.shot + shape.query
    return labels_of([need + draw(st.integers(0, 3)) for _ in range(classes)]), shape


@given(labels_and_shape(), st.integers(0, 5), st.integers(0, 50))
def test_an_episode_has_different_images_of_different_classes(drawn, epoch, number):
    labels, shape = drawn
    episode = Episodes(labels, shape, seed=0).draw(epoch, number)
    assert len(set(episode.classes.tolist())) == shape.way
    assert episode.support.shape == (shape.way, shape.shot) and episode.query.shape == (shape.way, shape.query)
    used = np.concatenate([episode.support.ravel(), episode.query.ravel()])
    assert len(set(used.tolist())) == used.size
    for positions in (episode.support, episode.query):
        assert (labels[positions] == episode.classes[:, None]).all()


@given(labels_and_shape(), st.integers(0, 50))
def test_an_episode_does_not_depend_on_those_drawn_before_it(drawn, number):
    labels, shape = drawn
    alone = Episodes(labels, shape, seed=3).draw(2, number)
    after_others = list(Episodes(labels, shape, seed=3).epoch(2, number + 1))[-1]
    assert all((a == b).all() for a, b in zip(alone, after_others, strict=True))


@given(labels_and_shape(), st.integers(0, 50))
def test_fewer_ways_and_shots_are_part_of_the_same_episode(drawn, number):
    labels, shape = drawn
    whole = Episodes(labels, shape, seed=1).draw(0, number)
    part = Episodes(labels, Shape(2, 1, shape.query), seed=1).draw(0, number)
    assert (part.classes == whole.classes[:2]).all()
    assert (part.support == whole.support[:2, :1]).all()
    assert (part.query == whole.query[:2]).all()


def test_seed_epoch_and_number_each_change_the_episode():
    labels = labels_of([20] * 10)
    drawn = [Episodes(labels, Shape(5, 1, 5), seed=seed).draw(epoch, number) for seed, epoch, number in
             ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]  # fmt: skip
    assert len({episode.query.tobytes() for episode in drawn}) == 4


def test_every_class_and_image_is_equally_likely():
    labels, count = labels_of([4] * 5), 2000
    seen = np.zeros((2, 20))
    for episode in Episodes(labels, Shape(2, 1, 2), seed=0).epoch(0, count):
        seen[0] += np.bincount(episode.support.ravel(), minlength=20)
        seen[1] += np.bincount(episode.query.ravel(), minlength=20)
    shares = seen / count  # 2 of 5 classes, then 1 or 2 of 4 images; the limit is 5 standard errors
    for share, expected in zip(shares, (0.1, 0.2), strict=True):
        assert np.abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / count)


def test_a_split_by_class_counts_only_its_own_classes():
    labels = np.repeat([1, 3, 4], 5)
    check_episodes(labels, NAMES, Shape(3, 1, 4), split="test")
    with pytest.raises(UserError, match="way=4: the test split has 3 classes; set way to a number from 2 to 3"):
        check_episodes(labels, NAMES, Shape(4, 1, 4), split="test")


def test_too_many_shots_and_queries_name_the_smallest_class():
    labels = np.repeat([0, 1, 2], [9, 6, 8])
    with pytest.raises(UserError, match="a=2 and b=5 need 7 images of each class, but class 'b' has 6 in the train split"):
        check_episodes(labels, NAMES, Shape(2, 2, 5), split="train", keys=("way", "a", "b"))


@pytest.mark.parametrize("shape", [Shape(1, 1, 1), Shape(2, 0, 1), Shape(2, 1, 0)])
def test_an_episode_without_two_classes_or_any_images_is_refused(shape):
    with pytest.raises(UserError, match=r"2 to 5|at least 1"):
        check_episodes(np.repeat(np.arange(5), 9), NAMES, shape, split="test")
