"""How few labels are enough? Fit simple classifiers on features of 1, 2, 5, ... images per class, over many random draws.

    python -m vision2.few_shot dataset=plants model=mobilenet_v2
    python -m vision2.few_shot dataset=plants model=mobilenet_v2 shots=1,5,20 draws=50
    python -m vision2.few_shot dataset=digits model=mobilenet_v2 way=5

Compares pretrained features, features of the same network untrained, and raw pixels, all on the same draws. Without way=, every
draw has all classes: support images come from the training split, and all images of the test split are classified. With way=5,
each episode has 5 classes drawn at random, and both support and query images come from the test split (whose classes are new if
dataset.split_by=class).

No classifier uses the validation split, which would have more labels than the support: their settings are fixed. centroid is
the nearest class mean by Euclidean distance, centroid_cosine by angle; logistic (C = 10), ridge (alpha = 0.1) and knn (k = 1)
use features of length 1. soft_kmeans is transductive: it also uses the other images to be classified, without their labels.

Writes few_shot.json and few_shot.png under output_dir/few_shot; with way=, episodes.json and episode.png, which shows one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.basics.written import WrittenFiles
from vision2.config.command import Option, refuse_unused, run_command, whole_numbers

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from vision2.config.schema import Config
    from vision2.data.dataset import Dataset
    from vision2.data.episodes import Shape
    from vision2.features.learning_curves import Point
    from vision2.models.network import Network

CURVE, EPISODES = ("few_shot.json", "few_shot.png"), ("episodes.json", "episode.png")
OPTIONS = {
    "shots": Option("", "numbers of support images per class; if empty 1,2,5,10,20,50, or 1,5 with way="),
    "classifiers": Option("", "names separated by commas; if empty centroid_cosine,logistic, or all with way="),
    "draws": Option(20, "random draws of the support images, without way=", int),
    "way": Option(None, "classes per episode", int),
    "query": Option(15, "images per class to classify in each episode", int),
    "episodes": Option(600, "number of episodes", int),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=load)


def load(overrides: list[str]) -> Config:
    from vision2.config.compose import load_config

    return load_config([*overrides, "strategy=feature_extraction"])


def run(config: Config, options: dict) -> None:
    """Compute the features once, evaluate every draw or episode, and print and write the accuracies."""
    by_episode = options["way"] is not None
    other = ("draws",) if by_episode else ("query", "episodes")
    used = [name for name in OPTIONS if name not in other]
    refuse_unused(options, OPTIONS, used, "with way=" if by_episode else "without way=, the classes per episode")
    shots = sorted(whole_numbers("shots", options["shots"] or ("1,5" if by_episode else "1,2,5,10,20,50"), "shots=1,5,20"))
    for key in ("draws", "episodes"):
        if options[key] < 1:
            raise UserError(f"{key} is {options[key]}; it must be at least 1")
    if config.dataset.split_by == "class" and not by_episode:
        raise UserError(
            "dataset.split_by=class puts other classes into the test split, so accuracy is that of episodes: give way=5"
        )
    from vision2.data.files.locations import data_name
    from vision2.features.few_shot_classifiers import CLASSIFIERS, chosen_classifiers

    usual = ",".join(CLASSIFIERS) if by_episode else "centroid_cosine,logistic"
    classifiers = chosen_classifiers(options["classifiers"] or usual)
    name = f"{data_name(config.dataset.name, config.dataset.root)}-{config.model.name}"
    folder = Path(config.output_dir).expanduser() / "few_shot" / name
    if by_episode:
        _episodes(config, options, shots, classifiers, WrittenFiles(folder, *EPISODES))
    else:
        _curves(config, options, shots, classifiers, WrittenFiles(folder, *CURVE))


def _curves(config: Config, options: dict, shots: list[int], classifiers: list[str], files: WrittenFiles) -> None:
    from vision2.features.learning_curves import as_text, check_shots, learning_curves, transfer_features
    from vision2.pictures.images import save_figure
    from vision2.pictures.learning_curve import learning_curve_figure
    from vision2.preparation import open_for_transfer

    data, network, untrained = open_for_transfer(config)
    check_shots(data.train.labels, data.classes, shots)
    networks = {"pretrained": network, "untrained": untrained}
    features = transfer_features((data.train, data.test), networks, config.model, config.dataset)
    labels = data.train.labels, data.test.labels
    points = list(learning_curves(features, labels, classifiers, shots=shots, draws=options["draws"], seed=config.seed))
    print(
        f"\ntest accuracy in percent, mean (95 % interval) over {options['draws']} draws; {len(data.classes)} classes,"
        f" {len(data.test.labels):,} test images\n"
    )
    print(as_text(points))
    _write(points, files, CURVE[0])
    save_figure(learning_curve_figure(points, chance=1 / len(data.classes)), files.path(CURVE[1]))
    print(f"written: {files.folder}/{', '.join(CURVE)}")


def _episodes(config: Config, options: dict, shots: list[int], classifiers: list[str], files: WrittenFiles) -> None:
    from vision2.data.episodes import Shape, check_episodes
    from vision2.features.learning_curves import as_text, episode_accuracies, transfer_features
    from vision2.pictures.images import save_figure
    from vision2.preparation import open_for_transfer

    data, network, untrained = open_for_transfer(config)
    names = (*data.classes, *data.new_classes)
    way, query, count = options["way"], options["query"], options["episodes"]
    for shot in shots:
        check_episodes(data.test.labels, names, Shape(way, shot, query), split="test", keys=("way", "shots", "query"))
    networks = {"pretrained": network, "untrained": untrained}
    features = {
        name: vectors for name, (vectors,) in transfer_features((data.test,), networks, config.model, config.dataset).items()
    }
    drawn = {"way": way, "shots": shots, "query": query, "episodes": count, "seed": config.seed}
    points = list(episode_accuracies(features, data.test.labels, classifiers, **drawn))
    print(
        f"\n{way}-way accuracy in percent, mean (95 % interval) over {count:,} episodes with {query} queries per class, drawn"
        f" from {len(data.test.labels):,} test images of {len(set(data.test.labels.tolist()))} classes; chance is"
        f" {100 / way:.1f}\n"
    )
    print(as_text(points))
    _write(points, files, EPISODES[0])
    picture = _picture(data, network, features["pretrained"], Shape(way, shots[0], query), config.seed)
    save_figure(picture, files.path(EPISODES[1]))
    print(f"written: {files.folder}/{', '.join(EPISODES)}")


def _picture(data: Dataset, network: Network, features: np.ndarray, shape: Shape, seed: int) -> Figure:
    """The first test episode of this shape with one query of each class, classified by cosine in the pretrained features."""
    import numpy as np

    from vision2.data.batches import Batches
    from vision2.data.episodes import EVALUATION, Episodes
    from vision2.features.few_shot_classifiers import CLASSIFIERS
    from vision2.pictures.episode_scores import scores_figure
    from vision2.pictures.images import as_pictures, collect_images

    episode = Episodes(data.test.labels, shape, seed=seed).draw(EVALUATION, 0)
    support, query = episode.support, episode.query[:, 0]
    part = data.test.select(np.concatenate([support[:, 0], query]))
    batches = Batches(part, network.preprocessing, batch_size=32, device="cpu", num_classes=1, seed=0)
    pictures = as_pictures(collect_images(batches, range(len(part))), network.preprocessing)
    labels = np.arange(shape.way).repeat(shape.shot)
    scores = CLASSIFIERS["centroid_cosine"](features[support.ravel()], labels, features[query])
    return scores_figure(*np.split(pictures, 2), scores)


def _write(points: Sequence[Point], files: WrittenFiles, name: str) -> None:
    from dataclasses import asdict

    from vision2.basics.atomic_write import write_json
    from vision2.runs.records import plain

    write_json(files.path(name), plain([asdict(point) | {"accuracy": point.accuracy._asdict()} for point in points]))


if __name__ == "__main__":
    sys.exit(main())
