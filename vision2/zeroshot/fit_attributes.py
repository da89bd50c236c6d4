"""ESZSL on the features of a network: one that is trained here on the seen classes, or a frozen pretrained one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vision2.basics.errors import UserError
from vision2.features.classifiers import Fitted, Labelled, calibrate
from vision2.features.probe import ClassifierFit, fit_on_features
from vision2.models.heads import StandardizedLinear
from vision2.training.epochs import fit_on_images
from vision2.training.fit import Task
from vision2.training.parameter_plan import Rule
from vision2.zeroshot import eszsl
from vision2.zeroshot.attributes import Attributes, read_attributes

FEWEST_SEEN = 4  # two are held out to choose the regularisation, and two are left to learn from


def fit_attributes(task: Task, rules: Sequence[Rule]) -> ClassifierFit:
    """Read the attributes, train the network unless it is pretrained, and compute the features of all images.

    Raises:
        UserError: without unseen classes, with fewer than four seen ones, or for attributes that cannot be used.
    """
    data = task.data
    seen = seen_classes(len(data.classes), data.unseen)
    attributes = read_attributes(task.strategy.attributes, data.classes)
    print(f"unseen classes: {', '.join(data.classes[index] for index in data.unseen)}", flush=True)
    if not task.saved and not task.strategy.pretrained:
        _train_on_seen(task, rules, len(seen))

    def fit_head(train: Labelled, val: Labelled) -> Fitted:
        return fit_eszsl(train, val, attributes, seen, held_out=len(data.unseen), seed=task.seed)

    return fit_on_features(task, rules, fit_head)


def seen_classes(classes: int, unseen: Sequence[int]) -> np.ndarray:
    """Positions (Z,) of the seen ones among `classes` classes.

    Raises:
        UserError: without unseen classes, or with fewer than four seen ones.
    """
    if not unseen:
        raise UserError(
            "strategy=eszsl needs classes to leave out of training; name them with dataset.unseen=[A,B], or draw two with"
            " dataset.unseen_drawn=2"
        )
    seen = np.setdiff1d(np.arange(classes), unseen)
    if len(seen) < FEWEST_SEEN:
        least = FEWEST_SEEN + 2
        remedy = "leave out fewer" if classes >= least else f"use a data set with at least {least} classes"
        raise UserError(
            f"{len(unseen)} of the {classes} classes are unseen, but strategy=eszsl needs at least {FEWEST_SEEN} seen ones;"
            f" {remedy}"
        )
    return seen


def _train_on_seen(task: Task, rules: Sequence[Rule], seen: int) -> None:
    """Train `task.network` as an ordinary classifier of the seen classes; no image of an unseen class is in the splits."""
    print(f"training the network on the {seen} seen classes: {task.train.epochs} epochs", flush=True)
    accuracy = 0.0
    for found in fit_on_images(task, rules).trial():
        accuracy = found["accuracy"]
    print(f"validation accuracy on the seen classes: {accuracy:.2%}", flush=True)


def fit_eszsl(train: Labelled, val: Labelled, attributes: Attributes, seen: np.ndarray, *, held_out: int, seed: int) -> Fitted:
    """The head x -> x' V S' of all K classes, with the regularisation chosen on seen classes that are held out.

    Args:
        train: features (N, D) and labels (N,) of seen classes.
        val: sets the temperature of the softmax.
        seen: positions (Z,) of the seen classes among the K of `attributes`.
    """
    head = StandardizedLinear(train.features.shape[1], len(attributes.classes))
    features = train.features.cpu()
    head.standardise_by(features)
    length = features.shape[1] ** 0.5  # of a standardised image, about
    x = ((features - head.mean) / head.std).double().numpy() / length
    labels, signatures = np.searchsorted(seen, train.labels.cpu().numpy()), attributes.signatures()
    chosen = eszsl.choose(x, labels, signatures[seen], held_out=held_out, seed=seed)
    v = eszsl.solve(x, labels, signatures[seen], gamma=chosen.gamma, lambda_=chosen.lambda_)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(signatures @ v.T / length))
    head = head.to(train.features.device).eval()
    calibrate(head, val)
    setting = {"gamma": chosen.gamma, "lambda": chosen.lambda_}
    return Fitted(head, setting, [setting | {"held_out_classes_accuracy": chosen.accuracy}])
