from __future__ import annotations

from vision2.config.compose import load_config
from vision2.preparation import wanted_weights


def test_scratch_never_loads_weights_even_if_a_sweep_names_a_file(tmp_path):
    file = tmp_path / "weights.pth"
    file.touch()
    words = ["model=resnet18", f"weights.path={file}"]
    assert wanted_weights(load_config([*words, "strategy=scratch"])).path is None
    assert wanted_weights(load_config([*words, "strategy=finetune"])).path == str(file)


def test_a_pretrained_strategy_uses_the_default_weights_if_none_are_named():
    assert wanted_weights(load_config(["model=resnet18", "strategy=finetune"])).name == "default"
    named = wanted_weights(load_config(["model=resnet18", "strategy=finetune", "weights.name=IMAGENET1K_V1"]))
    assert named.name == "IMAGENET1K_V1"
