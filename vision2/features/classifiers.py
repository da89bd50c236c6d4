"""Classifiers on features: scikit-learn fits them, with a fixed strength of regularisation or the best on validation.

`linear` is not among them: vision2/training/learner.py trains it in epochs like any other head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from vision2.basics.errors import UserError
from vision2.basics.randomness import derive_seed
from vision2.models.heads import COSINE, Head, KNNHead, MLPHead, StandardizedLinear, prototype_head

HIDDEN_UNITS = 128
MLP_EPOCHS = 50
# Regularisation (logistic, svm: C; ridge, mlp: alpha; lda: shrinkage) or neighbours, for standardised features.
GRIDS = {
    "logistic": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    "svm": (1e-5, 1e-4, 1e-3, 1e-2),
    "knn": (1, 3, 5, 10, 20, 50),
    "ridge": (1e1, 1e2, 1e3, 1e4, 1e5),
    "lda": (0.01, 0.1, 0.5, 0.9),
    "mlp": (1e-3, 1e-1, 10.0),
}
FIXED = {"logistic": 1e-2, "svm": 1e-4, "knn": 1, "ridge": 1e3, "lda": 0.5, "mlp": 1e-1}  # if validation is not to select
NOT_STANDARDISED = ("centroid_cosine",)  # an angle depends on where zero is
MAX_LDA_FEATURES = 8192  # LDA solves a linear system of this size for each setting
ONE_THREAD_BELOW = 5_000_000  # elements; smaller products finish before a second thread has started


class Labelled(NamedTuple):
    """Features (N, D) float32 and labels (N,) int64, as tensors on one device."""

    features: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Task:
    """Input of a fit: standardised training features and labels as NumPy arrays, and the settings it needs."""

    x: np.ndarray
    y: np.ndarray
    num_classes: int
    balanced: bool  # every class has the same weight, regardless of its number of images
    seed: int
    grid: tuple[float, ...]  # settings to try

    @property
    def class_weight(self) -> str | None:
        return "balanced" if self.balanced else None


@dataclass(frozen=True)
class Fitted:
    """A fitted head, the setting selected on validation, and the validation results of every setting tried."""

    head: Head
    chosen: dict
    tried: list[dict]


def fit_classifier(
    name: str,
    train: Labelled,
    val: Labelled,
    *,
    num_classes: int,
    seed: int,
    balanced: bool = False,
    neighbours: int | None = None,
    fixed: bool = False,
) -> Fitted:
    """Fit `name` on `train` with each setting of its grid and return the best on `val`, by accuracy and then by loss.

    Args:
        neighbours: of knn, instead of a grid.
        fixed: fit with one fixed setting, and use `val` for nothing but the reported figures. With a few training images,
            a validation split with more labels than those would hide how few are needed.

    Raises:
        UserError: for more neighbours than images, class weights with an algorithm that has none, or features LDA cannot fit.
    """
    if balanced and name in ("knn", "mlp"):
        raise UserError(f"train.class_weights=balanced cannot be used with strategy.classifier={name}; leave it out")
    features = train.features.cpu()
    scaler = Head(features.shape[1])
    if name not in NOT_STANDARDISED:
        scaler.standardise_by(features)
    x = ((features - scaler.mean) / scaler.std).numpy()
    y = train.labels.cpu().numpy()
    task = Task(x, y, num_classes, balanced, seed, _grid(name, len(y), neighbours, fixed=fixed))
    best, best_key, tried = None, None, []
    for setting, head in FITS[name](task):
        head.mean, head.std = scaler.mean.clone(), scaler.std.clone()
        head = head.to(train.features.device).eval()
        if not fixed:
            calibrate(head, val)
        accuracy, loss = _accuracy_and_loss(head, val)
        tried.append({**setting, "val_accuracy": accuracy, "val_loss": loss})
        if best_key is None or (accuracy, -loss) > best_key:
            best, best_key = Fitted(head, setting, tried), (accuracy, -loss)
    return best


def fit_unit_vectors(name: str, x: np.ndarray, y: np.ndarray, setting: float) -> Head:
    """The head of `name`, fitted with one setting to features (N, D) of length 1, which are not standardised.

    `y`: (N,) labels from 0, all of them present.
    """
    return next(FITS[name](Task(x, y, int(y.max()) + 1, False, 0, (setting,))))[1]


def _grid(name: str, images: int, neighbours: int | None, *, fixed: bool) -> tuple[float, ...]:
    if name == "knn" and neighbours is not None:
        if neighbours > images:
            raise UserError(f"strategy.neighbors={neighbours} is more than the {images} training images; lower it")
        return (neighbours,)
    if name not in GRIDS:
        return ()
    return (FIXED[name],) if fixed else tuple(value for value in GRIDS[name] if name != "knn" or value <= images)


def _fit_logistic(task: Task) -> Iterator[tuple[dict, Head]]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200, tol=1e-3, warm_start=True, class_weight=task.class_weight)
    for c in task.grid:
        yield {"C": c}, _affine(_quietly(model.set_params(C=c).fit, task), task)


def _fit_svm(task: Task) -> Iterator[tuple[dict, Head]]:
    from sklearn.svm import LinearSVC

    for c in task.grid:
        model = LinearSVC(C=c, dual="auto", class_weight=task.class_weight, random_state=_state(task), tol=1e-3, max_iter=2000)
        yield {"C": c}, _affine(_quietly(model.fit, task), task)


def _fit_ridge(task: Task) -> Iterator[tuple[dict, Head]]:
    from sklearn.linear_model import RidgeClassifier

    for alpha in task.grid:
        model = RidgeClassifier(alpha=alpha, class_weight=task.class_weight)
        yield {"alpha": alpha}, _affine(_quietly(model.fit, task), task)


def _fit_lda(task: Task) -> Iterator[tuple[dict, Head]]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    present = len(np.unique(task.y))
    if len(task.y) <= present:
        raise UserError(
            "strategy.classifier=lda needs more than one image per class; add images, or use strategy.classifier=centroid"
        )
    if task.x.shape[1] > MAX_LDA_FEATURES:
        raise UserError(
            f"strategy.classifier=lda on {task.x.shape[1]:,} features would take hours (at most {MAX_LDA_FEATURES:,} are"
            " allowed); use strategy.pooling=pooled, or strategy.classifier=ridge"
        )
    priors = np.full(present, 1 / present) if task.balanced else None
    for shrinkage in task.grid:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=priors)
        yield {"shrinkage": shrinkage}, _affine(_quietly(model.fit, task), task)


def _fit_centroid(task: Task) -> Iterator[tuple[dict, Head]]:
    """The score -|x - c|^2 / 2 equals c.x - |c|^2 / 2 up to a term shared by all classes, so it is affine in x."""
    present = np.unique(task.y)
    centroids = np.stack([task.x[task.y == label].mean(0) for label in present])
    rows = _rows_for_all(centroids, -np.square(centroids).sum(1) / 2, present, task.num_classes)
    yield {}, _filled_affine(*rows)


def _fit_centroid_cosine(task: Task) -> Iterator[tuple[dict, Head]]:
    yield {}, prototype_head(torch.from_numpy(task.x), torch.from_numpy(task.y), task.num_classes, COSINE)


def _fit_knn(task: Task) -> Iterator[tuple[dict, Head]]:
    known, labels = torch.from_numpy(task.x), torch.from_numpy(task.y)
    for k in task.grid:
        head = KNNHead(task.x.shape[1], 0, task.num_classes)
        head.known, head.labels = known, labels
        head.neighbours.fill_(k)
        yield {"neighbors": k}, head


def _fit_mlp(task: Task) -> Iterator[tuple[dict, Head]]:
    from sklearn.neural_network import MLPClassifier

    for alpha in task.grid:
        model = MLPClassifier(
            (HIDDEN_UNITS,), alpha=alpha, max_iter=MLP_EPOCHS, random_state=_state(task), n_iter_no_change=5, tol=1e-3
        )
        _quietly(model.fit, task)
        head = MLPHead(task.x.shape[1], HIDDEN_UNITS, task.num_classes)
        (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
        w2, b2 = _rows_for_all(w2.T, b2, model.classes_, task.num_classes)
        with torch.no_grad():
            for layer, weight, bias in ((head.hidden, w1.T, b1), (head.output, w2, b2)):
                layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                layer.bias.copy_(torch.from_numpy(bias))
        yield {"alpha": alpha}, head


FITS: dict[str, Callable[[Task], Iterator[tuple[dict, Head]]]] = {
    "logistic": _fit_logistic,
    "svm": _fit_svm,
    "knn": _fit_knn,
    "centroid": _fit_centroid,
    "centroid_cosine": _fit_centroid_cosine,
    "ridge": _fit_ridge,
    "lda": _fit_lda,
    "mlp": _fit_mlp,
}


def _state(task: Task) -> int:
    return derive_seed(task.seed, "classifier") % 2**32


def _quietly(fit: Callable, task: Task):
    """Fit without convergence warnings: every setting is evaluated on validation, converged or not."""
    import warnings

    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1 if task.x.size < ONE_THREAD_BELOW else None):
        warnings.simplefilter("ignore")
        return fit(task.x, task.y)


def _affine(model, task: Task) -> StandardizedLinear:
    return _filled_affine(*_rows_for_all(np.atleast_2d(model.coef_), model.intercept_, model.classes_, task.num_classes))


def _rows_for_all(weight: np.ndarray, bias: np.ndarray, classes: np.ndarray, num_classes: int):
    """(K, D) and (K,) from scikit-learn's; two classes have a single row there, the logit of the second with the first at 0."""
    if len(classes) == 2 and len(weight) == 1:
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([0 * bias, bias])
    rows, offsets = np.zeros((num_classes, weight.shape[1])), np.full(num_classes, -1e3)  # a class without training images
    rows[classes], offsets[classes] = weight, bias
    return rows, offsets


def _filled_affine(weight: np.ndarray, bias: np.ndarray) -> StandardizedLinear:
    head = StandardizedLinear(weight.shape[1], len(weight))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


@torch.no_grad()
def calibrate(head: Head, val: Labelled) -> None:
    """Set the temperature, shared by all classes, to its maximum-likelihood value on validation (Guo et al. 2017, 4.2).

    Label smoothing of 1/(n + 2) keeps it finite when every validation image is classified correctly (as in Platt 1999).
    """
    from scipy.optimize import minimize_scalar

    logits, labels = head(val.features).cpu().double(), val.labels.cpu()  # MPS has no float64
    smoothing = 1 / (len(labels) + 2)
    spread = float(logits.std()) + 1e-12

    def loss(log_scale: float) -> float:
        scaled = logits * (np.exp(log_scale) / spread)
        return float(torch.nn.functional.cross_entropy(scaled, labels, label_smoothing=smoothing))

    head.scale.mul_(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x) / spread)


@torch.no_grad()
def _accuracy_and_loss(head: Head, val: Labelled) -> tuple[float, float]:
    logits = head(val.features)
    accuracy = (logits.argmax(1) == val.labels).float().mean()
    return float(accuracy), float(torch.nn.functional.cross_entropy(logits, val.labels))
