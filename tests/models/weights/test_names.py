"""Tensors are found under whatever names a tool gives them, or the file is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from made_up_networks import cheap_network
from weight_files import RESNET20, library_state, loaded, prefixed, same_network, saved

from vision2.basics.errors import UserError
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.models.weights.load import find_weights, load_weights

PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "backbone.",
    "encoder.",
    "module.model._orig_mod.",
    "model.module.backbone.net.",
    "trunk.",
)
WRAPPERS = (("state_dict",), ("model_state_dict",), ("model",), ("net",), ("checkpoint", "model", "state_dict"))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_of_any_depth_is_removed(tmp_path, resnet20, prefix):
    network, report = loaded(saved(tmp_path / "w.pth", prefixed(prefix, library_state(resnet20))))
    assert same_network(network, resnet20)
    assert (report.dropped, report.kept) == ((), ())


@pytest.mark.parametrize("keys", WRAPPERS)
def test_tensors_are_found_in_dicts_of_any_name_and_depth(tmp_path, resnet20, keys):
    content = prefixed("module.", library_state(resnet20))
    for key in reversed(keys):
        content = {"epoch": 3, key: content, "best_prec1": torch.tensor(91.0)}
    network, report = loaded(saved(tmp_path / "w.pth", content))
    assert same_network(network, resnet20)
    assert (report.dropped, report.kept) == ((), ())


@pytest.mark.parametrize("head", ["linear", "classifier", "_fc", "head.fc", "classifier.1", "my_own_layer"])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_head_under_another_name_is_recognised_inside_and_outside_the_backbones_prefix(tmp_path, resnet20, head, prefix):
    state = library_state(resnet20)
    weight, bias = state.pop("fc.weight"), state.pop("fc.bias")
    content = {"state_dict": prefixed(prefix, state) | {f"{head}.weight": weight, f"{head}.bias": bias}}
    network, report = loaded(saved(tmp_path / "w.pth", content))
    assert same_network(network, resnet20)
    assert (report.dropped, report.kept, report.head) == ((), (), "kept")


def test_a_head_of_several_layers_is_not_mistaken_for_a_linear_one(tmp_path, resnet20):
    state = library_state(resnet20)
    state |= {"fc.0.weight": torch.ones(10, 64), "fc.0.bias": torch.ones(10)}
    state |= {"fc.2.weight": torch.ones(10, 10), "fc.2.bias": torch.ones(10)}
    del state["fc.weight"], state["fc.bias"]
    network, report = loaded(saved(tmp_path / "w.pth", state))
    assert report.head == "new: the file has no head for these features"
    assert network.head.weight.unique().numel() > 1


def both_sets(resnet20, raw: str, averaged: str) -> dict:
    """Raw and averaged weights, with different running means in the first norm."""
    state = library_state(resnet20)
    other = state | {"bn1.running_mean": torch.full((16,), 7.0)}
    if raw.endswith("."):
        return {"state_dict": prefixed(raw, other) | prefixed(averaged, state) | {"n_averaged": torch.tensor(5)}}
    return {raw: other, averaged: prefixed("module.", state) | {"n_averaged": torch.tensor(5)}, "epoch": 1}


@pytest.mark.parametrize(
    ("raw", "averaged"),
    [
        ("model", "model_ema"),
        ("state_dict", "state_dict_ema"),
        ("model.", "ema_model.module."),
        ("net.", "averaged.module."),
    ],
)
def test_averaged_weights_are_preferred_to_raw_ones_unless_a_key_chooses_others(tmp_path, resnet20, raw, averaged):
    config = saved(tmp_path / "w.pth", both_sets(resnet20, raw, averaged))
    network, report = loaded(config)
    assert same_network(network, resnet20)
    named = averaged.removesuffix(".module.").rstrip(".")
    assert named in report.describe()
    assert "(averaged weights); for another set give weights.key=" in report.describe()
    key = raw if not raw.endswith(".") else f"state_dict.{raw.rstrip('.')}"
    assert f"weights.key={key}" in report.describe()
    network, _ = loaded(replace(config, key=key))
    assert network.backbone.bn1.running_mean.tolist() == [7.0] * 16


def test_a_key_that_the_file_lacks_is_refused_with_the_keys_it_has(tmp_path, resnet20):
    config = replace(saved(tmp_path / "w.pth", {"model": library_state(resnet20)}), key="ema")
    with pytest.raises(UserError, match=r"weights\.key=ema is not in the file; give one of its keys \(model\) or leave it out"):
        loaded(config)


def foreign_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors in the same order, under names that match nothing."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    return {f"part{layers.index(name.rpartition('.')[0])}.{name.rpartition('.')[2]}": t for name, t in state.items()}


def test_tensors_with_foreign_names_are_matched_by_order_and_shape_and_reported(tmp_path, resnet20):
    network, report = loaded(saved(tmp_path / "w.pth", foreign_names(library_state(resnet20))))
    assert same_network(network, resnet20)
    assert "its tensors were matched by order, and all shapes fit" in report.describe()


def test_foreign_names_in_another_order_or_with_other_kinds_are_refused(tmp_path, resnet20):
    state = foreign_names(library_state(resnet20))
    exchanged = {"part1.weight": "part1.bias", "part1.bias": "part1.weight"}
    swapped = {exchanged.get(name, name): tensor for name, tensor in state.items()}
    for name, content in (("reversed", dict(reversed(state.items()))), ("kinds", swapped)):
        with pytest.raises(UserError, match=r"fills \d+\.\d% of the backbone .*choose the model that the file was made for"):
            loaded(saved(tmp_path / f"{name}.pth", content))


@pytest.mark.parametrize(
    ("ours", "timms"),
    [
        ("mobilenet_v2", "mobilenetv2_100"),
        ("efficientnet_b0", "efficientnet_b0"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
    ],
)
def test_torchvisions_and_timms_weights_of_one_architecture_load_into_each_other(tmp_path, ours, timms):
    import timm

    first, second = ModelConfig(name=ours), ModelConfig(name=timms, library="timm")
    state = timm.create_model(timms).state_dict()
    numbered = {name: torch.full_like(t, index) for index, (name, t) in enumerate(state.items())}
    network = cheap_network(first, 1000, 224)
    report = load_weights(network, find_weights(saved(tmp_path / "timm.pth", numbered), first), 0.9)
    assert (report.coverage, report.kept, report.head) == (1.0, (), "kept")
    assert network.backbone.features[0][0].weight.unique().tolist() == [0]
    assert network.head.weight.unique().tolist() == [len(state) - 2]
    back = cheap_network(second, 1000, 224)
    report = load_weights(back, find_weights(saved(tmp_path / "tv.pth", library_state(network)), second), 0.9)
    assert (report.coverage, report.kept) == (1.0, ())
    assert back.backbone.conv_stem.weight.unique().tolist() == [0]


@pytest.mark.parametrize(("channels", "rule"), [(1, "greyscale kernel"), (4, "the fourth is left out")])
def test_a_first_layer_for_other_channels_is_adapted_by_a_rule_that_is_reported(tmp_path, resnet20, channels, rule):
    state = library_state(resnet20)
    kernel = state["conv1.weight"]
    state["conv1.weight"] = kernel.sum(1, keepdim=True) if channels == 1 else torch.cat([kernel, kernel[:, :1]], 1)
    network, report = loaded(saved(tmp_path / "w.pth", state))
    assert report.adapted == ("backbone.conv1.weight",)
    assert rule in report.describe()
    grey = torch.randn(2, 1, 8, 8).expand(-1, 3, -1, -1)  # equal colours, as the file's own network would see them
    with torch.no_grad():
        assert torch.allclose(network.backbone.conv1(grey), resnet20.backbone.conv1(grey), atol=1e-5)


@pytest.mark.parametrize(
    ("without", "why"),
    [
        (lambda name: "running" in name, r"fills 50\.0% of the backbone"),
        (
            lambda name: name == "layer1.0.bn1.running_var",
            r"lacks batch-norm running statistics of resnet20 \(backbone\.layer1\.0\.bn1",
        ),
        (lambda name: name == "conv1.weight", "has no first layer that fits resnet20"),
    ],
)
def test_a_file_without_statistics_or_first_layer_is_refused_whatever_its_coverage(tmp_path, resnet20, without, why):
    state = {name: tensor for name, tensor in library_state(resnet20).items() if not without(name)}
    with pytest.raises(UserError, match=why):
        loaded(saved(tmp_path / "w.pth", state))


def test_a_first_layer_for_13_channels_is_refused_even_with_min_coverage_0(tmp_path, resnet20):
    state = library_state(resnet20) | {"conv1.weight": torch.ones(16, 13, 3, 3)}
    source = find_weights(saved(tmp_path / "w.pth", state), RESNET20)
    with pytest.raises(UserError, match="it may have 1, 3 or 4 input channels"):
        load_weights(build_model(RESNET20, 10, seed=2), source, 0.0)


@pytest.mark.parametrize(
    ("alias", "mean"),
    [("vit_base_patch16_224_in21k", 0.5), ("tf_efficientnet_b0_ns", 0.485), ("tf_mobilenetv3_large_100", 0.5)],
)
def test_timms_old_model_names_have_the_preprocessing_of_their_weights(alias, mean):
    from vision2.models.cards import card_for

    assert card_for(ModelConfig(name=alias, library="timm")).preprocessing.mean[0] == mean
