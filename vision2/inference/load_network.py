"""Load the network of a checkpoint or of a file of weights, ready to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vision2.basics.errors import UserError
from vision2.basics.run_files import checkpoint_file
from vision2.models.build import build_model
from vision2.models.cut import with_saved_head
from vision2.models.heads import COSINE, DISTANCES, NoHead
from vision2.models.network import Network
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.models.weights.load import WeightsSource, find_weights, load_weights, outputs_of
from vision2.models.weights.saved_network import saved_network
from vision2.training.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode, the names of its outputs, and the file it was loaded from.

    `are_named`: whether `classes` are class names; if the file does not name its classes, they are numbers.
    `distance`: the one its features were trained for, if they were trained for one, else the cosine distance.
    """

    network: Network
    classes: tuple[str, ...]
    source: str
    file: Path
    are_named: bool = True
    distance: str = COSINE


def trained_of_checkpoint(path: str, device: torch.device) -> Trained:
    """The network of a checkpoint, or of the run folder that holds one."""
    checkpoint, file = load_checkpoint(path), checkpoint_file(path)
    network = _network(checkpoint, device, file)
    return Trained(network, tuple(checkpoint["classes"]), str(path), file, distance=_distance(checkpoint, file))


def _distance(checkpoint: dict, file: Path) -> str:
    """`strategy.distance` of a run that trained on episodes; other networks, with a head for fixed classes, use none."""
    record, config = checkpoint.get("classifier"), checkpoint.get("config")
    if not record or record["kind"] != NoHead.kind:
        return COSINE
    strategy = config.get("strategy") if isinstance(config, dict) else None
    distance = strategy.get("distance") if isinstance(strategy, dict) else None
    if distance not in DISTANCES:
        raise UserError(
            f"{file} was trained on episodes with the distance '{distance}' (known: {', '.join(DISTANCES)}); use the version of"
            " vision2 that wrote it, or train again"
        )
    return distance


def trained_of_weights(weights: WeightsConfig, model: ModelConfig, image_size_px: int | None, device: torch.device) -> Trained:
    """A network with published or local weights and the classifier they come with.

    Raises:
        UserError: if the weights are unavailable, or have no classifier, so that predictions would be random.
    """
    source = _source(weights, model)
    outputs = outputs_of(source, model)
    if outputs is None:
        raise UserError(
            f"{source.name} has no classifier for the features of {model.name}, so it would predict at random; give weights"
            " that have one, or train one with strategy=feature_extraction"
        )
    classes = source.classes_of(outputs)
    if classes is None and weights.classes:
        raise UserError(
            f"weights.classes={weights.classes} names {len(source.own_classes or ())} classes, but the classifier in"
            f" {source.name} has {outputs}; give a file with {outputs} names, one per line"
        )
    network = _with_weights(source, weights, model, outputs, image_size_px, device)
    numbers = tuple(str(number) for number in range(outputs))
    return Trained(network, classes or numbers, source.name, source.path, are_named=classes is not None)


def backbone_of_weights(weights: WeightsConfig, model: ModelConfig, image_size_px: int | None, device: torch.device) -> Trained:
    """A network with published or local weights, without classes: its head is not to be used.

    Raises:
        UserError: if the weights are unavailable.
    """
    source = _source(weights, model)
    network = _with_weights(source, weights, model, 1, image_size_px, device)
    return Trained(network, (), source.name, source.path)


def _source(weights: WeightsConfig, model: ModelConfig) -> WeightsSource:
    if weights.name == "none" and not weights.path:
        raise UserError(
            "weights.name=none would predict at random; type weights.name=default (published weights) or weights.path=FILE"
        )
    return find_weights(replace(weights, name="default") if weights.name == "auto" else weights, model)


def _with_weights(
    source: WeightsSource,
    weights: WeightsConfig,
    model: ModelConfig,
    outputs: int,
    image_size_px: int | None,
    device: torch.device,
) -> Network:
    network = build_model(replace(model, aux=False), outputs, seed=0, image_size_px=image_size_px)
    load_weights(network, source, weights.min_coverage)
    if image_size_px is not None:
        network.preprocessing = network.preprocessing.at_size(image_size_px)
    return network.to(device, memory_format=torch.channels_last).eval()


def _network(checkpoint: dict, device: torch.device, file: Path) -> Network:
    """The network in the content of a checkpoint, on `device`, in evaluation mode.

    Raises:
        UserError: if a part is missing or of another version, or the tensors do not match the model that it names.
    """
    saved = saved_network(checkpoint, file)
    config, size = saved.model(file), saved.preprocessing.image_size_px
    network = build_model(config, len(saved.classes), seed=0, image_size_px=size)
    network = with_saved_head(network, saved.classifier, saved.tensors)
    try:
        network.load_state_dict(saved.tensors)
    except RuntimeError as error:
        raise UserError(
            f"the tensors of {file} do not match its model {config.name} ({str(error).splitlines()[-1].strip()});"
            " use another checkpoint or train again"
        ) from error
    network.preprocessing = saved.preprocessing
    return network.to(device, memory_format=torch.channels_last).eval()


def require_classes(network: Network, source: str) -> None:
    """Refuse a network that was trained on episodes: its outputs are features, which are no classes.

    Raises:
        UserError: for such a network.
    """
    if isinstance(network.head, NoHead):
        raise UserError(
            f"{source} was trained to compare images and has no classes of its own; give predict a folder with a few images"
            " of each class (support=FOLDER), or evaluate it on a data set that is split by class (dataset.split_by=class)"
        )
