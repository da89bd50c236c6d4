"""Features of a frozen network: computed once per image at full speed, stored, and looked up from then on."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vision2.basics.errors import UserError
from vision2.data.batches import Batches
from vision2.data.dataset import Split
from vision2.data.settings import AugmentConfig, DatasetConfig
from vision2.features.engine import OPSET, Cut, Engine, onnx_engine
from vision2.features.feature_store import (
    ID_BYTES,
    FeatureStore,
    features_folder,
    image_ids,
    network_digest,
    store_key,
    view_ids,
)
from vision2.features.settings import wanted_engine
from vision2.models.cut import layer_outputs
from vision2.models.fusing import fused_copy
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.training.checkpoint import restoring
from vision2.training.fit import Task
from vision2.training.precision import PROBE_FROM_PX, autocast, cpu_has_bfloat16
from vision2.training.ranks import ONE_RANK, Ranks

BATCH_SIZE = 32  # at 224 px; larger batches do not fit in a CPU's caches
MAX_BYTES = 8 * 10**9  # of one feature matrix in memory


class FeatureMaker:
    """Computes features (V, N, D) of splits at the given layers of `network`; those already stored are read instead.

    Args:
        network: on its device, with the preprocessing applied to the images.
        model: the settings the network was built from, because two architectures can have the same tensors.
        folder: where features are stored; None computes them each time.
        ranks: the processes that share the images; each gets the features of all of them.
    """

    def __init__(
        self,
        network: Network,
        model: ModelConfig,
        layers: Sequence[str],
        *,
        folder: Path | None,
        pooling: str = "pooled",
        workers: int | None = None,
        ranks: Ranks = ONE_RANK,
    ):
        self.ranks = ranks
        self.network, self.layers, self.pooling, self.folder, self.workers = network, layers, pooling, folder, workers
        self.device = next(network.parameters()).device
        self.engines: set[str] = set()  # torch, onnxruntime or both: what has computed features
        self.images_computed = 0  # forward passes of single images, for all views
        self._facts = {"model": asdict(model), "preprocessing": network.preprocessing.to_dict(), "pooling": pooling}
        self._fast: Network | None = None
        self._wanted = wanted_engine()
        self._engines: dict[tuple[str, ...], tuple[int, Engine | None]] = {}  # by layers: images it was tried for, outcome

    def features(
        self, split: Split, *, precision: str = "float32", augment: AugmentConfig | None = None, views: int = 1
    ) -> dict[str, torch.Tensor]:
        """Return (V, N, D) float32 on the CPU for each layer; view 0 is the evaluation view, the others are augmented.

        The augmentation of a view depends only on the image and the index of the view, so that every seed and every
        subset finds the same rows.
        """
        if self.folder or views > 1:
            ids = image_ids(split.images, self.folder / "ids" if self.folder else None)
        else:  # nothing is stored, and reading every image for its hash would double the work
            ids = [index.to_bytes(ID_BYTES, "big") for index in range(len(split))]
        found = [self._view(split, ids, precision, augment if view else None, view) for view in range(views)]
        return {layer: torch.stack([view[layer] for view in found]) for layer in self.layers}

    def _view(
        self, split: Split, ids: list[bytes], precision: str, augment: AugmentConfig | None, view: int
    ) -> dict[str, torch.Tensor]:
        keys = ids
        if augment is not None:  # mixing two images needs both labels, so only training on images does it
            augment = replace(augment, mixup=0.0, cutmix=0.0)
            keys = view_ids(ids, json.dumps([view, asdict(augment)], sort_keys=True))
        stores = {layer: self._store(layer, precision) for layer in self.layers}
        rows, missing = {}, {}
        for layer, store in stores.items():
            rows[layer], missing[layer] = store.read(keys) if store else (None, np.arange(len(keys)))
        # what any process lacks: another one may already see what has been stored in the meantime
        lacking = self.ranks.gather([missing])
        absent = np.unique(np.concatenate([positions for each in lacking for positions in each.values()]))
        if len(absent):
            layers = [layer for layer in self.layers if any(len(each[layer]) for each in lacking)]
            numbers = np.array([int.from_bytes(ids[i][:6], "big") for i in absent])
            computed = self._compute(split.select(absent), layers, precision, augment, view, numbers)
            for layer, made in zip(layers, computed, strict=True):
                if stores[layer] and self.ranks.rank == 0:
                    stores[layer].add([keys[i] for i in absent], made)
                if rows[layer] is None:
                    rows[layer] = np.empty((len(keys), made.shape[1]), dtype=np.float32)
                rows[layer][absent] = made
        return {layer: torch.from_numpy(values) for layer, values in rows.items()}

    def _store(self, layer: str, precision: str) -> FeatureStore | None:
        if self.folder is None:
            return None
        key = store_key(**self._facts, network=self._digest, layer=layer, precision=precision)
        return FeatureStore(self.folder / f"{key}.sqlite")

    @cached_property
    def _digest(self) -> str:
        return network_digest(self.network.backbone)

    @torch.inference_mode()
    def _compute(
        self,
        split: Split,
        layers: list[str],
        precision: str,
        augment: AugmentConfig | None,
        view: int,
        numbers: np.ndarray,
    ) -> list[np.ndarray]:
        """Return (N, D) for each layer; `numbers` (N,) seed the augmentation of each image."""
        self.network.eval()
        batches = Batches(
            split, self.network.preprocessing, batch_size=BATCH_SIZE, device=self.device, num_classes=1, seed=0,
            augment=augment, workers=self.workers, sample_numbers=numbers,
        )  # fmt: skip
        results: list[np.ndarray] = []
        engine: Engine | None = None
        bar = tqdm(total=len(split), desc=f"features {split.name}", unit="img", leave=False, disable=None)
        for batch in batches.epoch(view, self.ranks.place):
            engine = engine or self._engine(layers, precision, batch.images, len(split))
            with autocast(self.device, precision):
                outputs = engine(batch.images)
            if not results:
                results = self._new_rows(len(split), [output.shape[1] for output in outputs])
            where = batch.indices.cpu().numpy()
            for result, output in zip(results, outputs, strict=True):
                result[where] = output.cpu().numpy()
            bar.update(len(where) * self.ranks.size)
        bar.close()
        self.images_computed += len(split)
        return self._of_all_processes(results, len(split))

    def _new_rows(self, count: int, widths: Sequence[int]) -> list[np.ndarray]:
        """(count, width) for each width: empty, or zeros if other processes will fill some of the rows."""
        _check_memory(count, max(widths))
        return [(np.empty if self.ranks.size == 1 else np.zeros)((count, width), dtype=np.float32) for width in widths]

    def _of_all_processes(self, results: list[np.ndarray], count: int) -> list[np.ndarray]:
        """The rows of every process: those of the others are 0 in each, so that the sum has them all."""
        if self.ranks.size > 1:
            widths = self.ranks.gather([[rows.shape[1] for rows in results]])
            results = results or self._new_rows(count, max(widths))  # fewer batches than processes
            for rows in results:
                self.ranks.add(torch.from_numpy(rows))
        return results

    def _engine(self, layers: list[str], precision: str, images: torch.Tensor, count: int) -> Engine:
        """What computes the features of `count` images at `layers`: onnxruntime where it can and pays, else torch."""
        key = tuple(layers)
        tried, engine = self._engines.get(key, (0, None))
        if self.device.type == "cpu" and precision == "float32":
            if engine is None and count > tried:  # fewer images would not change the answer
                cut, file = Cut(self.network, layers, self.pooling), self._export_file(layers)
                engine = onnx_engine(cut, images, count, file=file, wanted=self._wanted)
                self._engines[key] = count, engine
            if engine is not None:
                self.engines.add("onnxruntime")
                return engine
        network = self._fast_network(images)
        self.engines.add("torch")
        return lambda images: layer_outputs(network, layers, images, self.pooling)

    def _export_file(self, layers: list[str]) -> Path | None:
        if self.folder is None:
            return None
        versions = {"torch": torch.__version__, "opset": OPSET}
        return self.folder / f"{store_key(**self._facts, **versions, network=self._digest, layers=layers)}.onnx"

    def _fast_network(self, images: torch.Tensor) -> Network:
        """The network with its batch normalisations folded into the convolutions, built on first use."""
        if self._fast is None:
            self._fast = fused_copy(self.network, self.layers, images[:2], self.pooling)
        return self._fast


def _check_memory(count: int, width: int) -> None:
    if count * width * 4 > MAX_BYTES:
        raise UserError(
            f"{count:,} images with {width:,} features each need {count * width * 4 / 1e9:.1f} GB of memory (at most"
            f" {MAX_BYTES / 1e9:.0f} are allowed); use strategy.pooling=pooled, a smaller dataset.image_size_px or fewer images"
            " (dataset.fraction, dataset.eval_fraction)"
        )


def training_precision(wanted: str, device: torch.device, image_size_px: int) -> str:
    """The number format in which training features are computed; validation and test features are always float32.

    `auto` must not depend on a timing, or a second run might not find the features that the first one stored.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    native = device.type == "cpu" and image_size_px >= PROBE_FROM_PX and cpu_has_bfloat16()
    return "bfloat16" if native else "float32"


def features_cache(dataset: DatasetConfig) -> Path | None:
    """The folder in which features are stored; None unless dataset.cache=disk."""
    return features_folder(dataset.cache_dir) if dataset.cache == "disk" else None


def restore_backbone(task: Task) -> None:
    """Load the backbone of the checkpoint that is resumed, if any: stored features are looked up by its weights."""
    if task.saved:
        prefix = "backbone."
        own = {name.removeprefix(prefix): t for name, t in task.saved["model"].items() if name.startswith(prefix)}
        with restoring():
            task.network.backbone.load_state_dict(own)


def maker_for(task: Task, layers: Sequence[str], *, pooling: str) -> FeatureMaker:
    """What computes the features of a run's network, or reads those that an earlier run stored."""
    shared = {"folder": features_cache(task.dataset), "workers": task.dataset.workers, "ranks": task.ranks}
    return FeatureMaker(task.network, task.model, layers, pooling=pooling, **shared)


def split_features(task: Task, layers: Sequence[str]) -> dict[str, dict[str, torch.Tensor]]:
    """Features (V, N, D) by layer and split: `strategy.views` views of each training image, one of all others."""
    data, strategy, dataset = task.data, task.strategy, task.dataset
    maker = maker_for(task, layers, pooling=strategy.pooling)
    start = time.perf_counter()
    precision = training_precision(task.train.precision, maker.device, task.network.preprocessing.image_size_px)
    made = {
        "train": maker.features(data.train, precision=precision, augment=dataset.augment, views=strategy.views),
        "val": maker.features(data.val),
        "test": maker.features(data.test),
    }
    seconds = time.perf_counter() - start
    total = sum(len(split) for split in (data.train, data.val, data.test)) + len(data.train) * (strategy.views - 1)
    rate = (
        f" at {maker.images_computed / seconds:.0f} img/s with {' and '.join(sorted(maker.engines))}"
        if maker.images_computed
        else ""
    )
    cached = "" if maker.images_computed == total else ", the others read from the cache"
    print(
        f"features after {', '.join(layers)}: {maker.images_computed} of {total} computed{rate}{cached}; {seconds:.1f} s",
        flush=True,
    )
    return {layer: {split: by_layer[layer] for split, by_layer in made.items()} for layer in layers}
