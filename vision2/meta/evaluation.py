"""Measure a network on the episodes of a split whose classes it was not trained on; every method gets the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vision2.basics.errors import TrainingDiverged
from vision2.data.batches import Batches
from vision2.data.dataset import Dataset, Split
from vision2.data.episode_batches import EpisodeBatches
from vision2.data.episodes import EVALUATION, Episodes, Shape, check_episodes
from vision2.meta.method import EmbeddingMethod, Method
from vision2.meta.settings import EpisodesConfig
from vision2.models.network import Network
from vision2.stats.intervals import mean_interval
from vision2.training.measure import Example, Measure, Measured
from vision2.training.ranks import ONE_RANK, Ranks

USUAL_WAYS, USUAL_SHOTS = (5, 20), (1, 5)


def episode_measures(data: Dataset, config: EpisodesConfig, method: Method, *, seed: int) -> dict[str, Measure]:
    """How the validation and test splits of data that are split by class are measured.

    Test episodes have every combination of ways and shots; the first one is the accuracy of the run. Validation episodes
    have the most ways and the fewest shots, because they are the hardest and tell networks apart best.

    Raises:
        UserError: for ways, shots and queries that a split has too few classes or images for.
    """
    shapes = possible_shapes(data.test, data.all_classes, config)
    hardest = max(possible_shapes(data.val, data.all_classes, config, strict=False), key=lambda shape: (shape.way, -shape.shot))
    return {
        "val": ByEpisodes([hardest], config.val_episodes, method, seed=seed),
        "test": ByEpisodes(shapes, config.test_episodes, method, seed=seed),
    }


def possible_shapes(split: Split, names: Sequence[str], config: EpisodesConfig, *, strict: bool = True) -> list[Shape]:
    """The shapes that `config` asks for, or else the usual ones that the split has enough classes and images for.

    Args:
        strict: refuse what is asked for if it is not possible, instead of lowering the numbers to what is.
    """
    counts = np.bincount(split.labels)
    classes, smallest = int((counts > 0).sum()), int(counts[counts > 0].min())
    ways = config.way or [way for way in USUAL_WAYS if way <= classes] or [classes]
    shots = config.shot or [shot for shot in USUAL_SHOTS if shot + config.query <= smallest] or USUAL_SHOTS[:1]
    query = config.query
    if not strict:
        query = max(1, min(query, smallest - 1))
        ways, shots = [min(way, classes) for way in ways], [min(shot, smallest - query) for shot in shots]
    shapes = list(dict.fromkeys(Shape(way, shot, query) for way in ways for shot in shots))
    for shape in shapes:
        keys = ("episodes.way", "episodes.shot", "episodes.query")
        check_episodes(split.labels, names, shape, split=split.name, keys=keys)
    return shapes


class ByEpisodes:
    """Classifies `count` episodes of each shape with `method`; a `Measure`."""

    def __init__(self, shapes: Sequence[Shape], count: int, method: Method, *, seed: int):
        self.shapes, self.count, self.method, self.seed = shapes, count, method, seed

    def __call__(
        self,
        network: Network,
        batches: Batches,
        advance: Callable[[int], None] | None = None,
        *,
        forward: Callable | None = None,
        ranks: Ranks = ONE_RANK,
    ) -> Measured:
        """Measure on images, in one process; a `forward` pass to outputs for fixed classes is of no use here."""
        network.eval()
        found = {
            shape: self._episodes(network, batches, shape, each) for shape, each in self._logits(network, batches, advance)
        }
        metrics = {shape.key: self._summary(shape, *found[shape]) for shape in self.shapes}
        first = metrics[self.shapes[0].key]
        accuracies = {shape.key: found[shape][0] for shape in self.shapes}
        return Measured(first | metrics, episodes=accuracies, example=partial(self._example, network, batches))

    @torch.no_grad()
    def _example(self, network: Network, batches: Batches) -> Example:
        """The first episode of the first shape, with one query of each class."""
        network.eval()
        shape = self.shapes[0]._replace(query=1)
        (batch,) = EpisodeBatches(batches, Episodes(batches.labels, shape, seed=self.seed), 1).epoch(EVALUATION)
        support, query = batch.images.tensor_split([shape.way * shape.shot])
        scores = self.method.logits(network, batch.images, shape)
        return Example(support[:: shape.shot], query, scores.float().cpu().numpy())

    def _logits(
        self, network: Network, batches: Batches, advance: Callable[[int], None] | None
    ) -> Iterator[tuple[Shape, Iterator[Tensor]]]:
        """For each shape, the logits (Q, way) of its episodes in order."""
        if isinstance(self.method, EmbeddingMethod):
            features = _embedded(network, batches, advance)
            for shape in self.shapes:
                drawn = Episodes(batches.labels, shape, seed=self.seed).epoch(EVALUATION, self.count)
                yield shape, (self.method.classify(features[e.support], features[e.query.ravel()]) for e in drawn)
            return
        for shape in self.shapes:
            made = EpisodeBatches(batches, Episodes(batches.labels, shape, seed=self.seed), self.count)
            yield shape, (self.method.logits(network, batch.images, shape) for batch in made.epoch(EVALUATION))

    @torch.no_grad()
    def _episodes(
        self, network: Network, batches: Batches, shape: Shape, logits: Iterator[Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy and loss of each episode, both float64 (count,)."""
        labels = torch.arange(shape.way, device=batches.device).repeat_interleave(shape.query)
        found = torch.stack([
            torch.stack([(each.argmax(1) == labels).float().mean(), cross_entropy(each.float(), labels)]) for each in logits
        ]).cpu()  # fmt: skip
        if not found.isfinite().all():
            rates = "strategy.lr" if isinstance(self.method, EmbeddingMethod) else "strategy.lr, a lower strategy.inner_lr"
            raise TrainingDiverged(
                f"the outputs of {network.name} on episodes are NaN or infinite because its weights have diverged; try a lower"
                f" {rates} or train.clip_norm=1"
            )
        return tuple(found.double().numpy().T)

    def _summary(self, shape: Shape, accuracies: np.ndarray, losses: np.ndarray) -> dict:
        """The mean accuracy, with its 95 % interval over episodes."""
        mean, _, low, high, _ = mean_interval(accuracies.tolist())
        interval = {"accuracy_low": max(0.0, low), "accuracy_high": min(1.0, high)}
        return {"accuracy": mean, **interval, "loss": float(losses.mean()), "episodes": self.count, **shape._asdict()}


@torch.inference_mode()
def _embedded(network: Network, batches: Batches, advance: Callable[[int], None] | None) -> Tensor:
    """Features (N, D) float32 of all images, in the order of the split, on the device."""
    rows, found = [], []
    for batch in batches.epoch(0):
        found.append(network.features(batch.images).float())
        rows.append(batch.indices)
        if advance is not None:
            advance(len(batch.labels))
    return torch.cat(found)[torch.cat(rows).argsort()]
