"""Describe the augmentation in words, and ask whether mirroring may turn one class into another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vision2.data.files.part_names import folded
from vision2.data.settings import AugmentConfig

SIDES = (  # words for the two sides: mirroring turns a class of one side into a class of the other
    ("left", "right"),
    ("izquierda", "derecha"),
    ("izquierdo", "derecho"),
    ("izq", "der"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("sinistra", "destra"),
    ("esquerda", "direita"),
    ("east", "west"),
    ("clockwise", "counterclockwise"),
)
LETTERS = (("b", "d"), ("p", "q"))  # mirror images of each other; only as whole names
DIGITS = frozenset("0123456789")


def describe_augment(augment: AugmentConfig) -> str:
    """The augmentation in words, such as `random_resized 0.35.., flip, mixup 0.2`, or `none`."""
    crops = {
        "none": None,
        "pad": f"pad {augment.crop_padding_px} px",
        "random_resized": f"random_resized {augment.crop_scale_min:g}..",
    }
    amounts = {
        "color_jitter": augment.color_jitter,
        "rand_augment": augment.rand_augment,
        "erasing": augment.erasing,
        "mixup": augment.mixup,
        "cutmix": augment.cutmix,
    }
    words = [crops[augment.crop], "flip" if augment.flip else None]
    words += [f"{name} {amount:g}" for name, amount in amounts.items() if amount]
    return ", ".join(filter(None, words)) or "none"


def flip_question(augment: AugmentConfig, classes: Sequence[str]) -> str | None:
    """A question whether mirroring is valid if the class names suggest that left and right matter, else None."""
    why = _sides(classes) if augment.flip else None
    if why is None:
        return None
    return f"is mirroring valid here? The classes {why}; dataset.augment.flip=false turns it off"


def _sides(classes: Sequence[str]) -> str | None:
    names = {folded(name) for name in classes}
    words = {word for name in names for word in re.findall(r"[^\W\d_]+", name)}
    for pair in SIDES:
        if words.issuperset(pair):
            return f"name sides ({pair[0]}, {pair[1]})"
    for pair in LETTERS:
        if names.issuperset(pair):
            return f"include letters that are mirror images of each other ({pair[0]}, {pair[1]})"
    if len(names & DIGITS) > 1 and all(name.isdigit() for name in names):
        return "may be digits, and a mirrored 2 is not a 2"
    return None
