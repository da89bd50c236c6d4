"""Classify the test images of a data set by the names of its classes: through ImageNet's classes, or by image and text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError, first_few
from vision2.basics.preprocessing import CROP_SHARE, Preprocessing
from vision2.basics.written import WrittenFiles
from vision2.config.checks import image_size_px
from vision2.config.schema import Config
from vision2.data.batches import Batches
from vision2.data.dataset import Dataset, open_dataset
from vision2.data.files.locations import data_name
from vision2.models.build import build_model
from vision2.models.network import Network
from vision2.models.weights.classes import IMAGENET_CLASSES
from vision2.models.weights.load import find_weights, load_weights
from vision2.pictures.confusion import confusion_figure
from vision2.pictures.images import save_figure
from vision2.preparation import preprocessing_for, wanted_weights
from vision2.runs.records import plain
from vision2.training.precision import choose_device
from vision2.training.predictions import predict
from vision2.zeroshot.conse import conse_scores, split_known
from vision2.zeroshot.described import as_text, described
from vision2.zeroshot.image_text import check_prompts, image_text_scores, open_image_text, text_embeddings
from vision2.zeroshot.name_vectors import SENTENCE_MODEL, name_vectors, read_names

BATCH_SIZE = 32


def by_names(config: Config, *, names: str | None, vectors: str | None, top: int) -> None:
    """ConSE with the network's own head, on the test split.

    Raises:
        UserError: without pretrained weights whose head has known classes, or without vectors of the class names.
    """
    files = _files(config, f"{config.model.name}-names")
    network, known = _network_with_its_head(config)
    data = _open(config, image_size_px(config))
    network.preprocessing = preprocessing_for(config, network, data, pretrained=True)
    used = read_names(names, data.classes)
    known_vectors, has, target_vectors = name_vectors(known, used, vectors)
    among, others = split_known(used, known)
    found = predict(network, _batches(config, data, network.preprocessing))
    scores = conse_scores(found.probabilities[:, has], known_vectors, target_vectors, top)
    print(f"\n{len(among)} of these {len(used)} names are among the {len(known):,} classes that the network knows")
    print(f"  known: {first_few(among, 20) or 'none'}\n  not known: {first_few(others, 20) or 'none'}")
    if not has.all():
        print(f"  {int((~has).sum())} of its classes have no vector and are left out")
    result = described(scores, found.labels, data.classes, used)
    facts = {"method": "names", "top": top, "vectors": vectors or SENTENCE_MODEL, "known": among, "not_known": others}
    _finish(files, data, result, facts)


def by_image_and_text(config: Config, *, names: str | None, clip: str, checkpoint: str, prompts: Sequence[str]) -> None:
    """CLIP with any open_clip checkpoint, on the test split.

    Raises:
        UserError: for a prompt without a place for the name, or a network or checkpoint that cannot be used.
    """
    check_prompts(prompts)
    files = _files(config, f"{clip.replace('/', '-')}-image_text")
    model = open_image_text(clip, checkpoint, choose_device(config.device))
    data = _open(config, model.preprocessing.image_size_px)
    used = read_names(names, data.classes)
    texts = text_embeddings(model, used, prompts)
    scores, labels = image_text_scores(model, _batches(config, data, model.preprocessing), texts)
    result = described(scores, labels, data.classes, used)
    facts = {"method": "image_text", "clip": clip, "checkpoint": Path(checkpoint).name, "prompts": list(prompts)}
    _finish(files, data, result, facts)


def _files(config: Config, name: str) -> WrittenFiles:
    folder = Path(config.output_dir).expanduser() / "zero_shot"
    return WrittenFiles(
        folder / f"{data_name(config.dataset.name, config.dataset.root)}-{name}", "zero_shot.json", "zero_shot.png"
    )


def _open(config: Config, size: int) -> Dataset:
    return open_dataset(config.dataset, seed=config.seed, store_px=round(size / CROP_SHARE))


def _batches(config: Config, data: Dataset, preprocessing: Preprocessing) -> Batches:
    shared = {"num_classes": len(data.classes), "seed": 0, "workers": config.dataset.workers}
    return Batches(data.test, preprocessing, batch_size=BATCH_SIZE, device=choose_device(config.device), **shared)


def _network_with_its_head(config: Config) -> tuple[Network, tuple[str, ...]]:
    """The pretrained network with the head of its file, and the names of that head's classes."""
    source = find_weights(wanted_weights(config), config.model)
    known = source and source.classes_of(len(source.own_classes or ()) or IMAGENET_CLASSES)
    if not known:
        raise UserError(
            "method=names needs a network with a head for named classes; use published ImageNet weights, or a file with"
            " weights.path=FILE and weights.classes=imagenet (or a file of class names)"
        )
    size = image_size_px(config)
    network = build_model(config.model, len(known), seed=config.seed, image_size_px=size)
    report = load_weights(network, source, config.weights.min_coverage, classes=known)
    if report.head_is_new:
        raise UserError(f"the file has no usable head ({report.head}); method=names needs the network's own classes")
    return network.to(choose_device(config.device)).eval(), tuple(known)


def _finish(files: WrittenFiles, data: Dataset, result: dict, facts: dict) -> None:
    print("\n" + as_text(result))
    record = facts | {"dataset": data.name, "fingerprint": data.fingerprint} | result
    write_json(files.path("zero_shot.json"), plain(record))
    save_figure(confusion_figure(np.asarray(result["confusion"]), data.classes), files.path("zero_shot.png"))
    print(f"written: {files.folder / 'zero_shot.json'}, zero_shot.png")
