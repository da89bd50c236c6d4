"""Which transfer strategy for these images? Measures size and similarity and applies the lecture's four cases.

    python -m vision2.advise dataset=plants model=mobilenet_v2
    python -m vision2.advise dataset=folder dataset.root=photos model=resnet18 check=true train.epochs=3

Similarity is how much better a linear probe does on pretrained features than on untrained ones, and whether late layers
beat early ones. check=true trains the candidates on a small budget and says whether the advice was right.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.data.dataset import Dataset, Split
    from vision2.features.advice import Evidence
    from vision2.models.network import Network

MOST_LAYERS = 10  # looked at besides the last one
OPTIONS = {
    "sample": Option(1000, "training images that are looked at", int),
    "check": Option(False, "train the candidates (train.epochs, 3 unless given) and compare", bool),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(words: list[str], options: dict) -> int:
    """Measure, advise, and with `check` try the candidates; 1 when one of these failed."""
    from vision2.config.compose import load_config

    taken = [word for word in words if word.partition("=")[0] in ("strategy", "strategy.layer", "strategy.features")]
    if taken:
        raise UserError(f"'{taken[0]}' is what this command finds out; leave it out")
    if options["sample"] < 20:
        raise UserError(f"sample is {options['sample']}, it must be at least 20 images to say anything")
    config = load_config([*words, "strategy=feature_extraction"])
    from dataclasses import asdict

    from vision2.basics.atomic_write import write_json
    from vision2.features.advice import advise, as_text
    from vision2.preparation import open_for_transfer
    from vision2.runs.records import plain

    data, network, untrained = open_for_transfer(config)
    evidence = measure(config, data, network, untrained, sample=options["sample"])
    advice = advise(evidence)
    line = [*words, f"strategy={advice.strategy}", *advice.settings]
    command = shlex.join(["python", "-m", "vision2.train", *line])
    print("\n" + as_text(evidence, advice, command), flush=True)
    record = {"advice": asdict(advice), "evidence": asdict(evidence), "command": command}
    failed = 0
    if options["check"]:
        record["check"] = check_advice(words, advice, evidence)
        failed = int(any(row["error"] for row in record["check"]["candidates"]))
    path = Path(config.output_dir).expanduser() / "advice" / f"{config.dataset.name}-{config.model.name}.json"
    write_json(path, plain(record))
    print(f"written: {path}")
    return failed


def measure(config, data: Dataset, network: Network, untrained: Network, *, sample: int) -> Evidence:
    """Scores of pretrained layers and of the untrained last one on a sample of the training images.

    Raises:
        UserError: when a class has fewer than two images in the sample.
    """
    import numpy as np

    from vision2.features.advice import Evidence
    from vision2.features.compute import FeatureMaker, kept_features
    from vision2.features.transferability import transferability
    from vision2.models.cut import LAST

    split = sample_of(data.train, max(sample, 2 * len(data.classes)), config.seed)
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    if np.bincount(split.labels, minlength=len(data.classes)).min() < 2:
        raise UserError(
            f"the adviser needs two training images of each class; {data.classes[counts.argmin()]} has fewer"
        )
    folder = kept_features(config.dataset)

    def scores(net: Network, layers: list[str]) -> dict[str, dict[str, float]]:
        maker = FeatureMaker(net, config.model, layers=layers, pooling="pooled", folder=folder)
        found = maker.features(split, precision="float32")
        return {layer: transferability(found[layer][0].numpy(), split.labels, config.seed) for layer in layers}

    stages = [stage for stage in network.stages if stage not in ("aux", "head")]
    chosen = sorted(set(np.linspace(0, len(stages) - 1, min(MOST_LAYERS, len(stages))).round().astype(int).tolist()))
    return Evidence(
        images_per_class=int(np.median(counts)),
        smallest_class=int(counts.min()),
        classes=len(data.classes),
        sample=len(split.labels),
        scores=scores(network, [*(stages[index] for index in chosen), LAST]),
        untrained=scores(untrained, [LAST])[LAST],
    )


def sample_of(split: Split, size: int, seed: int) -> Split:
    """At most `size` images, as many of each class as possible, by seed."""
    import numpy as np

    from vision2.basics.randomness import numpy_stream
    from vision2.data.dataset import Split

    order = numpy_stream(seed, "probe").permutation(len(split.labels))
    ranks = np.empty(len(order), dtype=np.int64)  # the how-manieth of its class each image is, in random order
    for label in np.unique(split.labels):
        members = order[split.labels[order] == label]
        ranks[members] = np.arange(len(members))
    kept = np.sort(order[np.argsort(ranks[order], kind="stable")][:size])
    return Split(split.name, split.labels[kept], tuple(split.ids[i] for i in kept), split.images.select(kept))


def check_advice(words: list[str], advice, evidence: Evidence) -> dict:
    """Train the candidates once and say which is best on validation; the test split is not asked to choose.

    The scores' rank correlation is that with the validation accuracy of a classifier on each layer.
    """
    from vision2.stats.intervals import newcombe_difference

    rows, curve = _train_candidates(words, advice, evidence)
    finished = [row for row in rows if row["val_accuracy"] is not None]
    if not finished:
        raise UserError(f"no candidate could be trained: {rows[0]['error']}")
    best = max(finished, key=lambda row: row["val_accuracy"])
    advised = next((row for row in finished if row["name"] == advice.strategy), best)
    low, high = newcombe_difference(advised["val_accuracy"], advised["n"], best["val_accuracy"], best["n"])
    right = "right" if advised is best else "not shown wrong" if low <= 0 <= high else "wrong"
    print("\n" + "\n".join(f"{row['name']:20} validation accuracy {row['val_accuracy']:.2%}" for row in finished))
    print(f"the advice ({advice.strategy}) was {right} on this budget; best: {best['name']} (n = {best['n']:,})")
    ranks = _rank_correlations(evidence, curve)
    told = ", ".join(f"{name} {value:+.2f}" for name, value in ranks.items() if value is not None)
    print(f"rank correlation over {len(curve)} layers with the trained classifier: {told or 'no spread'}")
    return {"candidates": rows, "verdict": right, "best": best["name"], "layers": curve, "rank_correlation": ranks}


def _train_candidates(words: list[str], advice, evidence: Evidence) -> tuple[list[dict], list[dict]]:
    """(name, run, error, validation accuracy and n of each strategy; the curve over layers of feature extraction)."""
    from vision2.config.compose import load_config
    from vision2.jobs.run_job import run_recorded, stop_if_interrupted

    budget = [] if any(word.startswith("train.epochs=") for word in words) else ["train.epochs=3"]
    layers = f"strategy.layer={'+'.join(evidence.scores)}"
    candidates = {
        "scratch": ["strategy=scratch"],
        "feature_extraction": ["strategy=feature_extraction", layers, "strategy.classifier=logistic"],
        "finetune": ["strategy=finetune", *(advice.settings if advice.strategy == "finetune" else ())],
    }
    rows, curve = [], []
    for name, own in candidates.items():
        line = [*words, *budget, *own]
        print(f"\ncandidate {name}: {shlex.join(line)}", flush=True)
        outcome = run_recorded(load_config(line), shlex.join(["python", "-m", "vision2.train", *line]))
        stop_if_interrupted(outcome)
        val = outcome.summary["metrics"]["val"] if outcome.summary else {}
        row = {"name": name, "error": outcome.error, "run": str(outcome.run_dir) if outcome.run_dir else None}
        rows.append(row | {"val_accuracy": val.get("accuracy"), "n": val.get("n")})
        if outcome.summary and name == "feature_extraction":
            curve = outcome.summary["classifier"]["layers"]
    return rows, curve


def _rank_correlations(evidence: Evidence, curve: list[dict]) -> dict[str, float | None]:
    """Of each score of a layer with what a classifier trained on it reached on validation."""
    from vision2.features.transferability import rank_correlation

    trained = {row["layer"]: row["val_accuracy"] for row in curve}
    return {
        score: rank_correlation([evidence.scores[layer][score] for layer in trained], list(trained.values()))
        for score in evidence.untrained
    }


if __name__ == "__main__":
    sys.exit(main())
