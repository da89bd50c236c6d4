from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from vision2.basics.errors import UserError
from vision2.features.classifiers import FITS, Labelled, fit_classifier, fit_unit_vectors
from vision2.models.heads import PRIOR_IMAGES, empty_head
from vision2.stats.metrics import summarise_predictions


@pytest.fixture(scope="module")
def digits():
    """600 / 300 / 300 of scikit-learn's digits, with their 64 grey values as features."""
    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    features, labels = torch.tensor(features[order], dtype=torch.float32), torch.tensor(labels[order])
    return [Labelled(features[part], labels[part]) for part in (slice(600), slice(600, 900), slice(900, 1200))]


@pytest.fixture(scope="module")
def fitted(digits):
    train, val, _ = digits
    return {name: fit_classifier(name, train, val, num_classes=10, seed=0) for name in FITS}


@torch.inference_mode()
def probabilities(head, part):
    return head(part.features).softmax(1)


def accuracy(head, part):
    return float((probabilities(head, part).argmax(1) == part.labels).double().mean())


@pytest.mark.parametrize("name", FITS)
def test_every_classifier_is_far_above_chance_on_digits(name, fitted, digits):
    assert accuracy(fitted[name].head, digits[2]) > 0.85


@pytest.mark.parametrize("name", FITS)
def test_probabilities_sum_to_one_and_are_calibrated(name, fitted, digits):
    test = digits[2]
    found = probabilities(fitted[name].head, test)
    assert torch.allclose(found.sum(1), torch.ones(len(found)), atol=1e-5)
    assert abs(float(found.max(1).values.mean()) - accuracy(fitted[name].head, test)) < 0.12


@pytest.mark.parametrize("name", FITS)
def test_a_head_rebuilt_from_its_tensors_gives_the_same_probabilities(name, fitted, digits):
    head = fitted[name].head
    copy = empty_head(head.kind, head.state_dict())
    copy.load_state_dict(head.state_dict())
    assert torch.equal(probabilities(copy, digits[2]), probabilities(head, digits[2]))


@pytest.mark.parametrize("name", FITS)
def test_the_best_setting_on_validation_is_chosen_and_all_are_recorded(name, fitted, digits):
    result = fitted[name]
    best = max(entry["val_accuracy"] for entry in result.tried)
    assert accuracy(result.head, digits[1]) == pytest.approx(best)
    assert any(result.chosen.items() <= entry.items() and entry["val_accuracy"] == best for entry in result.tried)


def test_neighbours_and_centroids_agree_with_scikit_learn(digits):
    train, val, test = digits
    mean, var, n = train.features.mean(0).numpy(), train.features.var(0, correction=0).numpy(), len(train.features)
    std = np.sqrt((n * var + PRIOR_IMAGES * var.mean()) / (n + PRIOR_IMAGES))
    scaled = [(part.features.numpy() - mean) / std for part in (train, test)]
    knn = fit_classifier("knn", train, val, num_classes=10, seed=0, neighbours=1).head
    expected = KNeighborsClassifier(1).fit(scaled[0], train.labels).predict(scaled[1])
    assert (probabilities(knn, test).argmax(1).numpy() == expected).mean() > 0.995
    centroid = fit_classifier("centroid", train, val, num_classes=10, seed=0).head
    expected = NearestCentroid().fit(scaled[0], train.labels).predict(scaled[1])
    assert (probabilities(centroid, test).argmax(1).numpy() == expected).mean() > 0.995


def test_the_cosine_centroid_agrees_with_numpy_on_features_that_are_not_standardised(digits):
    train, val, test = digits
    x, queries, y = train.features.numpy(), test.features.numpy(), train.labels.numpy()
    means = np.stack([x[y == label].mean(0) for label in range(10)])
    cosine = (queries @ means.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(means, axis=1)
    head = fit_classifier("centroid_cosine", train, val, num_classes=10, seed=0).head
    with torch.inference_mode():
        assert (head(test.features) / head.scale).numpy() == pytest.approx(cosine, abs=1e-5)


def test_ridge_of_unit_vectors_solves_the_normal_equations(digits):
    """Centred one-against-all targets of -1 and 1, with the intercept not penalised."""
    x, y = digits[0].features[:40].numpy(), digits[0].labels[:40].numpy() % 3
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    targets = 2.0 * np.eye(3)[y] - 1
    centred = x - x.mean(0)
    weight = np.linalg.solve(centred.T @ centred + 0.1 * np.eye(64), centred.T @ (targets - targets.mean(0)))
    queries = digits[2].features.numpy()
    expected = (queries - x.mean(0)) @ weight + targets.mean(0)
    with torch.inference_mode():
        found = fit_unit_vectors("ridge", x, y, 0.1)(torch.from_numpy(queries))
    assert found.numpy() == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("name", FITS)
def test_a_fixed_setting_leaves_the_validation_split_no_influence(name, digits):
    few = Labelled(*(tensor[:100] for tensor in digits[0]))
    heads = [fit_classifier(name, few, part, num_classes=10, seed=0, fixed=True) for part in digits[1:]]
    assert len(heads[0].tried) == 1
    assert heads[0].chosen == heads[1].chosen
    assert torch.equal(*(probabilities(fitted.head, digits[2]) for fitted in heads))


@pytest.mark.parametrize("name", FITS)
def test_two_classes_work_like_many(name, digits):
    two = [Labelled(part.features[part.labels < 2], part.labels[part.labels < 2]) for part in digits]
    head = fit_classifier(name, two[0], two[1], num_classes=2, seed=0).head
    assert accuracy(head, two[2]) > 0.95


def test_more_neighbours_than_images_are_refused(digits):
    few = Labelled(digits[0].features[:20], digits[0].labels[:20])
    with pytest.raises(UserError, match="neighbors=21 is more than the 20 training images"):
        fit_classifier("knn", few, digits[1], num_classes=10, seed=0, neighbours=21)


@pytest.mark.parametrize("name", ["knn", "mlp"])
def test_class_weights_are_refused_for_a_classifier_that_has_none(name, digits):
    sentence = rf"train\.class_weights=balanced cannot be used with strategy\.classifier={name}; leave it out"
    with pytest.raises(UserError, match=sentence):
        fit_classifier(name, *digits[:2], num_classes=10, seed=0, balanced=True)


def test_a_checkpoint_of_an_unknown_kind_or_without_tensors_is_refused():
    with pytest.raises(UserError, match=r"kind 'afine' \(known: affine, cosine, perceptron, neighbours, none, linear\); use"):
        empty_head("afine", {})
    with pytest.raises(UserError, match="its tensors do not form a classifier of kind 'affine'; use another checkpoint"):
        empty_head("affine", {})


def test_lda_refuses_one_image_per_class_and_too_many_features():
    one_each, wide = (torch.randn(3, 4), torch.tensor([0, 1, 2])), (torch.zeros(4, 9000), torch.tensor([0, 1, 0, 1]))
    for (features, labels), sentence in ((one_each, "more than one image per class"), (wide, "pooling=pooled")):
        part = Labelled(features, labels)
        with pytest.raises(UserError, match=sentence):
            fit_classifier("lda", part, part, num_classes=3, seed=0)


@pytest.mark.parametrize("name", [name for name in FITS if name not in ("knn", "mlp")])
def test_a_class_without_a_training_image_is_never_predicted_and_breaks_nothing(name, digits):
    train, val, test = digits
    kept = Labelled(train.features[train.labels != 3], train.labels[train.labels != 3])
    head = fit_classifier(name, kept, val, num_classes=10, seed=0, balanced=True).head
    predicted = probabilities(head, test).argmax(1)
    others = test.labels != 3
    assert (predicted != 3).all()
    assert float((predicted == test.labels)[others].double().mean()) > 0.85


def test_ties_of_few_neighbours_do_not_inflate_the_top_five_accuracy(digits):
    """One neighbour votes for one class; the other nine tie, and four of them share the remaining places."""
    train, val, test = digits
    head = fit_classifier("knn", train, val, num_classes=10, seed=0, neighbours=1).head
    found = summarise_predictions(probabilities(head, test).numpy(), test.labels.numpy())
    assert found["top5"] == pytest.approx(found["accuracy"] + (1 - found["accuracy"]) * 4 / 9)
