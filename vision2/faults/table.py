"""The faults by name, each with a sentence for the terminal and the page. Imports nothing heavy: the settings read it.

What a fault changes stands in `data.py` (the images and labels), `tasks.py` (settings and batches) or `fits.py` (training).
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What goes wrong, in English and in Spanish."""

    what: str
    what_es: str

    def told(self, language: str = "en") -> str:
        """The sentence in this language."""
        return self.what_es if language == "es" else self.what


FAULTS = {
    "bn_not_frozen": Fault(
        "the statistics of frozen batch-norm layers move with every batch",
        "las estadísticas de las capas de batch norm congeladas cambian con cada lote",
    ),
    "wrong_normalisation": Fault(
        "training images are normalised, validation and test images are not",
        "las imágenes de entrenamiento se normalizan; las de validación y prueba, no",
    ),
    "test_selected": Fault(
        "the best epoch is chosen on the test images, which are then reported",
        "la mejor época se elige con las imágenes de prueba, que después se informan",
    ),
    "shuffled_labels": Fault(
        "the training labels are shuffled, so they say nothing about the images",
        "las etiquetas de entrenamiento están mezcladas y no dicen nada de las imágenes",
    ),
    "leaky_split": Fault(
        "the training images contain a copy of every test image",
        "las imágenes de entrenamiento contienen una copia de cada imagen de prueba",
    ),
    "no_shuffle": Fault(
        "training images come class by class in every epoch, never shuffled",
        "las imágenes de entrenamiento llegan clase por clase en cada época, sin mezclarse nunca",
    ),
    "double_softmax": Fault(
        "the loss gets probabilities instead of logits, so softmax is applied twice",
        "la pérdida recibe probabilidades en lugar de logits, así que softmax se aplica dos veces",
    ),
    "lr_too_high": Fault(
        "the learning rate is a hundred times the configured one",
        "la tasa de aprendizaje es cien veces la configurada",
    ),
    "frozen_head": Fault(
        "the optimiser does not get the new head, which stays at its random weights",
        "el optimizador no recibe la cabeza nueva, que conserva sus pesos aleatorios",
    ),
    "classes_by_position": Fault(
        "classes are numbered in another order in evaluation than in training",
        "en la evaluación las clases se numeran en otro orden que en el entrenamiento",
    ),
}  # fmt: skip
