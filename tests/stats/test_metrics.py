import numpy as np
import pytest
from sklearn import metrics as reference

from vision2.stats.metrics import SMALLEST_PROBABILITY, calibration_bins, summarise_predictions


def predictions(n=200, classes=7, seed=0):
    stream = np.random.default_rng(seed)
    probabilities = stream.dirichlet(np.full(classes, 0.4), n)
    labels = np.array([stream.choice(classes, p=row) for row in probabilities])
    return probabilities, labels


def test_every_metric_agrees_with_scikit_learn():
    probabilities, labels = predictions()
    found, guess = summarise_predictions(probabilities, labels), probabilities.argmax(1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, guess))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, guess))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, guess, average="macro"))
    assert found["loss"] == pytest.approx(reference.log_loss(labels, probabilities, labels=range(7)))
    assert found["top5"] == pytest.approx(reference.top_k_accuracy_score(labels, probabilities, k=5, labels=range(7)))
    assert found["confusion"] == reference.confusion_matrix(labels, guess).tolist()
    per_class = reference.precision_recall_fscore_support(labels, guess)
    for name, values in zip(("precision", "recall", "f1", "n"), per_class, strict=True):
        assert [row[name] for row in found["per_class"]] == pytest.approx(list(values))


def test_a_class_without_test_images_is_left_out_of_the_means():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0]])
    found = summarise_predictions(probabilities, np.array([0, 0, 1, 1]))
    assert found["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert found["macro_f1"] == pytest.approx((2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2)
    assert "top5" not in found and found["n"] == 4
    assert found["per_class"][2] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0, "predicted": 0}


def test_calibration_error_by_hand():
    # Bin (0.6, 0.667] has two samples of confidence 0.65, one correct: gap 0.15. Bin (0.933, 1] has two of 0.95, both
    # correct: gap 0.05. Expected error = (2 * 0.15 + 2 * 0.05) / 4.
    probabilities = np.array([[0.65, 0.35], [0.65, 0.35], [0.95, 0.05], [0.05, 0.95]])
    labels = np.array([0, 1, 0, 1])
    assert summarise_predictions(probabilities, labels)["ece"] == pytest.approx(0.10)
    assert [row["n"] for row in calibration_bins(probabilities, labels)] == [2, 2]


def test_confidence_one_falls_in_the_last_bin_and_probability_zero_has_a_finite_loss():
    found = summarise_predictions(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert found["ece"] == pytest.approx(0.5)
    assert found["loss"] == pytest.approx(-np.log(SMALLEST_PROBABILITY) / 2)


@pytest.mark.parametrize("shape", [(0, 3), (4,)])
def test_shapes_that_do_not_match_are_reported(shape):
    with pytest.raises(ValueError, match="need"):
        summarise_predictions(np.zeros(shape), np.zeros(shape[0], dtype=int))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_probabilities_that_are_nan_or_infinite_have_no_metrics(value):
    with pytest.raises(ValueError, match="need finite probabilities"):
        summarise_predictions(np.array([[value, value], [0.5, 0.5]]), np.array([0, 0]))


def test_a_thousand_classes_have_no_confusion_matrix():
    probabilities = np.full((2, 1000), 1e-3)
    found = summarise_predictions(probabilities, np.array([0, 1]))
    assert found["confusion"] is None and found["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("row", "label", "expected"),
    [
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 3, 4 / 9),  # one neighbour: nine tied classes share four places
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, 1.0),
        ([0.1] * 10, 3, 0.5),  # all classes tied
        ([0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0, 0, 0, 0], 5, 0.5),  # one place left for two classes
        ([0.2, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0, 0], 9, 0.0),
    ],
)
def test_top_five_counts_ties_by_their_expected_value(row, label, expected):
    found = summarise_predictions(np.array([row]), np.array([label]))
    assert found["top5"] == pytest.approx(expected)


def test_top_five_of_ties_is_the_mean_over_random_orders():
    stream = np.random.default_rng(0)
    probabilities, labels = stream.integers(0, 4, (30, 12)) / 10, stream.integers(0, 12, 30)
    orders = [probabilities + stream.uniform(0, 1e-6, probabilities.shape) for _ in range(2000)]
    drawn = [np.mean([label in row.argsort()[-5:] for row, label in zip(order, labels, strict=True)]) for order in orders]
    assert summarise_predictions(probabilities, labels)["top5"] == pytest.approx(np.mean(drawn), abs=0.005)


@pytest.mark.parametrize("labels", [[0, 0, 1], [0, 1, 2], [1, 1, 1], [2]])
def test_metrics_agree_with_scikit_learn_when_only_one_class_is_predicted(labels):
    labels, probabilities = np.array(labels), np.tile([0.1, 0.7, 0.2], (len(labels), 1))
    found, guess = summarise_predictions(probabilities, labels), np.ones(len(labels), int)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, guess))
    assert found["balanced_accuracy"] == pytest.approx(
        reference.recall_score(labels, guess, labels=np.unique(labels), average="macro")
    )
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, guess, average="macro", zero_division=0))
    assert found["per_class"][1]["predicted"] == len(labels)
    assert [row["predicted"] for row in found["per_class"]] == [0, len(labels), 0]
    assert np.isfinite([found[key] for key in ("loss", "ece", "accuracy_low", "accuracy_high")]).all()


def test_perfect_predictions_have_an_interval_that_extends_below_one():
    found = summarise_predictions(np.array([[1.0, 0.0], [0.0, 1.0]] * 10), np.array([0, 1] * 10))
    assert [found[key] for key in ("accuracy", "balanced_accuracy", "macro_f1", "accuracy_high")] == [1, 1, 1, 1]
    assert (found["loss"], found["ece"], found["confusion"]) == (0, 0, [[10, 0], [0, 10]])
    assert found["accuracy_low"] == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)  # Wilson 1927 at p = 1: n / (n + z^2)
    assert "top5" not in found


@pytest.mark.parametrize(("label", "right"), [(0, 1.0), (1, 0.0)])
def test_one_image_is_enough_for_every_metric(label, right):
    found = summarise_predictions(np.array([[0.6, 0.4]]), np.array([label]))
    assert [found[key] for key in ("accuracy", "balanced_accuracy", "n")] == [right, right, 1]
    assert found["macro_f1"] == right and found["ece"] == pytest.approx(abs(right - 0.6))
    assert found["accuracy_high"] - found["accuracy_low"] > 0.7, "one image is very little evidence"
