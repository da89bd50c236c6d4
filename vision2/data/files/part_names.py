"""Recognise folders that name a split, in the languages and spellings people use."""

from __future__ import annotations

import re
import unicodedata

PART_NAMES = {
    part: tuple(words.split())
    for part, words in {
        "train": "train training trn trainset entrenamiento entrenar apprentissage entrainement treino treinamento"
        " addestramento trainingsdaten",
        "val": "val valid validation validate dev valset validacion validar validierung validacao validazione",
        "test": "test testing tst tests testset prueba pruebas probar teste testdaten",
    }.items()
}
PART_OF_WORD = {word: part for part, words in PART_NAMES.items() for word in words}
# words without meaning next to the name of a split: `train_images`, `seg_train`, `conjunto de prueba`
FILLERS = frozenset(
    (
        "set",
        "data",
        "dataset",
        "image",
        "images",
        "img",
        "imgs",
        "photos",
        "pictures",
        "split",
        "folder",
        "seg",
        "the",
        "for",
        "datos",
        "imagenes",
        "fotos",
        "conjunto",
        "de",
    )
)
# folders in the place of a class folder that hold images without labels: `test/unknown/1.jpg`
UNLABELLED = frozenset(("unknown", "unlabelled", "unlabeled", "all", "none", "desconocido", "pred", "predict", "prediction"))
FOLD = re.compile(r"(?:cv|k)?[ _-]?(?:fold|split|pliegue|particion)[ _-]?\d+", re.IGNORECASE)


def part_of(name: str) -> str | None:
    """The split that a folder's name denotes: train, val, test or None.

    >>> part_of("Train"), part_of("validación"), part_of("seg_test"), part_of("train2017"), part_of("training day")
    ('train', 'val', 'test', 'train', None)
    """
    words = _words(name)
    found = [PART_OF_WORD[word] for word in words if word in PART_OF_WORD]
    return found[0] if len(found) == 1 and len(words) - len(found) == sum(word in FILLERS for word in words) else None


def is_generic(name: str) -> bool:
    """Whether a folder's name is too generic for a class: `images`, `unknown`, `test`."""
    return all(word in FILLERS | UNLABELLED or word in PART_OF_WORD for word in _words(name))


def is_fold(name: str) -> bool:
    return FOLD.fullmatch(name) is not None


def folded(name: str) -> str:
    """The name without differences that people overlook: case, Unicode form of accents, runs of spaces, - and _."""
    return " ".join(re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).casefold().split())


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without accents and digits."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return re.findall("[a-z]+", plain.lower())
