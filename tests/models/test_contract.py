"""Every option of conf/model fulfils the contract of `Network`."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from made_up_networks import cheap_network, options

from vision2.basics.errors import UserError
from vision2.models.build import build_model, meta_network
from vision2.models.cards import card_for, check_size, minimum_size
from vision2.models.network import Network
from vision2.models.settings import ModelConfig

OPTIONS = options()
CLASSES = 3


@pytest.fixture(scope="module", params=OPTIONS)
def option(request) -> tuple[ModelConfig, Network, int]:
    """Configuration, network with three classes, smallest training size; built once for all tests of an option."""
    config = OPTIONS[request.param]
    size = minimum_size(config, training=True)
    return config, cheap_network(config, CLASSES, size), size


def images(size: int) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5


def test_every_parameter_belongs_to_exactly_one_stage(option):
    _, network, _ = option
    for name, _ in network.named_parameters():
        owners = [stage for stage, prefixes in network.stages.items() if name.startswith(prefixes)]
        assert len(owners) == 1, f"{name}: {owners}"
    assert list(network.stages)[-1] == "head"
    assert all(network.stages.values()), "a stage without parameters"


def test_a_training_step_at_the_smallest_size_reaches_every_parameter_and_keeps_the_loss_finite(option):
    config, network, size = option
    network.train()
    labels = torch.tensor([0, 2])

    def loss() -> torch.Tensor:
        output = network(images(size))
        assert list(output.aux) == (sorted(network.aux_linears) if config.aux else [])
        return sum(torch.nn.functional.cross_entropy(x, labels) for x in (output.logits, *output.aux.values()))

    before = loss()
    before.backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    torch.optim.SGD(network.parameters(), lr=1e-4).step()
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        after = loss()
    assert torch.isfinite(before)
    assert torch.isfinite(after)


def test_evaluation_runs_the_stages_in_order_and_is_the_same_after_reloading_the_state(option):
    config, network, _ = option
    size, stages = minimum_size(config, training=False), [s for s in network.stages if s not in ("aux", "head")]
    network.eval()
    other = meta_network(config, CLASSES, size).eval()
    other.load_state_dict(network.state_dict(), assign=True)
    order, handles = [], []
    for stage in stages:
        assert stage in network.layers()
        hook = lambda module, inputs, output, stage=stage: order.append(stage)  # noqa: E731
        handles.append(other.module_at(stage).register_forward_hook(hook))
    handles.append(other.head.register_forward_pre_hook(lambda module, inputs: order.append(inputs[0])))
    with torch.inference_mode():
        output, again = network(images(size)), other(images(size))
        features = order.pop()
        assert torch.equal(network.head(features), output.logits)
    for handle in handles:
        handle.remove()
    assert torch.equal(again.logits, output.logits)
    assert output.logits.shape == (2, CLASSES)
    assert output.aux == {}
    assert features.shape == (2, network.num_features)
    assert order == stages


def test_one_pixel_less_is_refused_with_model_and_smallest_size(option):
    config, _, size = option
    with pytest.raises(UserError, match=rf"images of {size - 1} px .* needs at least {size} px.*dataset.image_size_px"):
        check_size(config, size - 1, training=True)


def test_a_size_that_is_too_small_only_for_the_auxiliary_classifiers_may_be_kept_without_them():
    config = ModelConfig("inception_v3", aux=True)
    with pytest.raises(UserError, match=r"inception_v3, .*set dataset\.image_size_px=299 or more \(or model\.aux=false\)$"):
        check_size(config, 96, training=True)
    check_size(replace(config, aux=False), 96, training=True)


UNBOUND = (
    "timm",
    "mobilenet_v1_timm",
    "xception",
    "smallinception",
    "smallinception_naive",
)  # they still run below their smallest size


@pytest.mark.parametrize(
    "name", [n for n, c in OPTIONS.items() if n.split("+")[0] not in UNBOUND and minimum_size(c, training=True) > 1]
)
def test_below_the_smallest_size_a_forward_pass_fails(name):
    """With one pixel less it fails, so the bound is exact."""
    config = OPTIONS[name]
    size = minimum_size(config, training=True)
    network = meta_network(config, CLASSES).train()
    with pytest.raises(RuntimeError):
        network(torch.empty(2, 3, size - 1, size - 1, device="meta"))


def test_the_initial_weights_depend_only_on_the_seed():
    config = ModelConfig(name="resnet20")
    torch.manual_seed(1)
    first, state = build_model(config, 10, seed=5), torch.random.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state()), "building must not advance the global generator"
    torch.manual_seed(2)
    second, third = build_model(config, 10, seed=5), build_model(config, 10, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.backbone.conv1.weight, third.backbone.conv1.weight)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"name": "resnet5"},
            "unknown model 'resnet5' (for a timm model type model=timm model.name=NAME), did you mean 'resnet5",
        ),
        ({"name": "alexnet", "stem": "small"}, "alexnet does not accept model.stem=small; allowed: imagenet"),
        ({"name": "plain20", "shortcut": "A"}, "type model.name=resnet20 model.shortcut=A"),
        ({"name": "plain20", "shortcut": "C"}, "leave it out, or use a ResNet with A, B or none"),
        ({"name": "resnet18", "shortcut": "C"}, "resnet18 does not accept model.shortcut=C; allowed: B, A, none"),
        ({"name": "vgg16", "shortcut": "A"}, "leave it out, or use a ResNet with A, B or none"),
        ({"name": "mobilenet_v2", "width": 0.5}, "mobilenet_v2 has no width multiplier"),
        ({"name": "resnet51", "library": "timm"}, "timm has no model 'resnet51', did you mean 'resnet51q'?"),
        ({"name": "resnet50.imagenet", "library": "timm"}, "timm's resnet50 has no weights 'imagenet'"),
        (
            {"name": "botnet50ts_256.a1", "library": "timm"},
            "timm's botnet50ts_256 has no weights 'a1'; use model.name=botnet50ts_256",
        ),
    ],
)
def test_settings_that_a_model_does_not_have_are_refused_with_what_it_has(settings, sentence):
    with pytest.raises(UserError) as error:
        card_for(ModelConfig(**settings))
    assert sentence in str(error.value)


def test_a_timm_transformer_is_built_for_the_requested_image_size():
    config = ModelConfig(name="vit_tiny_patch16_224", library="timm")
    network = meta_network(config, 5, image_size_px=96)
    assert network(torch.empty(2, 3, 96, 96, device="meta")).logits.shape == (2, 5)
    assert list(network.stages) == ["cls_token", *(f"blocks.{i}" for i in range(12)), "head"]


def test_a_size_that_a_timm_network_cannot_process_is_refused_with_its_own_size():
    with pytest.raises(
        UserError, match=r"inception_v3 cannot take images of 64 px .*set dataset\.image_size_px=299, its own size"
    ):
        build_model(ModelConfig(name="inception_v3", library="timm"), 5, seed=0, image_size_px=64)


def test_a_timm_network_that_returns_maps_is_refused(monkeypatch):
    backbone = torch.nn.Conv2d(3, 4, 1)
    backbone.num_features = 4
    monkeypatch.setattr("vision2.models.families.timm_networks._created", lambda *_: backbone.to("meta"))
    with pytest.raises(UserError, match=r"returns features of shape \(4, 32, 32\), not one vector per image; choose another"):
        meta_network(ModelConfig("resnet18", library="timm"), 5, image_size_px=32)


def test_a_model_that_timm_has_removed_is_refused(monkeypatch):
    monkeypatch.setattr("timm.models._registry.get_deprecated_models", lambda: {"gone50": None})
    with pytest.raises(UserError, match=r"timm has removed gone50; choose another model from `timm\.list_models\(\)`"):
        card_for(ModelConfig("gone50", library="timm"))


def test_mobilenet_v1_needs_timms_private_builder_only_for_other_widths(monkeypatch):
    meta_network(ModelConfig("mobilenet_v1"), 5)  # imports timm itself
    monkeypatch.setitem(sys.modules, "timm.models.efficientnet", ModuleType("efficientnet"))
    assert meta_network(ModelConfig("mobilenet_v1"), 5).num_features == 1024
    with pytest.raises(UserError, match=r"full width only; leave out model\.width=0\.5"):
        meta_network(ModelConfig("mobilenet_v1", width=0.5), 5)
