"""Download data sets and weights before a class, so that nobody has to wait for the network.

python scripts/download.py dataset=cifar10
python scripts/download.py dataset=cats_vs_dogs source=oxford_pet
python scripts/download.py models=resnet18,vgg19,mobilenet_v2
"""

from __future__ import annotations

import sys

from vision2.config.command import Option, run_command

OPTIONS = {
    "dataset": Option(None, "cifar10, cats_vs_dogs or plants"),
    "source": Option(None, "archive to download, if the data set has several"),
    "models": Option("", "comma-separated models whose default pretrained weights to download"),
}


def run(options: dict) -> None:
    from vision2.config.overrides import check_overrides
    from vision2.data.datasets import find_collection
    from vision2.data.settings import DatasetConfig
    from vision2.models.settings import ModelConfig, WeightsConfig
    from vision2.models.weights.load import find_weights

    if options["dataset"]:
        check_overrides([f"dataset={options['dataset']}"])
        found = find_collection(DatasetConfig(name=options["dataset"], source=options["source"]))
        print(f"{options['dataset']}: {len(found)} images, {len(found.classes)} classes")
    for name in filter(None, options["models"].split(",")):
        source = find_weights(WeightsConfig(name="default"), ModelConfig(name=name))
        print(f"{name}: {source.path}")


if __name__ == "__main__":
    sys.exit(run_command(None, doc=__doc__, options=OPTIONS, run=run, composes=False))
