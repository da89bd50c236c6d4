from __future__ import annotations

import pytest
import torch
from tiny_network import plan_for

from vision2.basics.errors import UserError
from vision2.models.build import build_model
from vision2.models.cut import layer_outputs, parse_layers, with_saved_head
from vision2.models.fusing import fused_copy
from vision2.models.heads import StandardizedLinear
from vision2.models.settings import ModelConfig
from vision2.strategies.settings import StrategyConfig
from vision2.training.parameter_plan import apply_phase, set_training_mode


def network(name="resnet20", **settings):
    made = build_model(ModelConfig(name, **settings), 10, seed=0).eval()
    with torch.no_grad():  # statistics that a folded batch norm must reproduce
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
                module.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))
    return made


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_layer_last_is_the_input_of_the_networks_own_head():
    subject = network()
    (found,) = layer_outputs(subject, ["last"], IMAGES, "pooled")
    assert torch.equal(found, subject.features(IMAGES))


@torch.no_grad()
def test_a_stage_is_averaged_over_positions_or_flattened():
    subject = network()
    maps = subject.backbone.layer2(subject.backbone.layer1(subject.backbone.bn1(subject.backbone.conv1(IMAGES)).relu()))
    pooled, flat = (layer_outputs(subject, ["layer2"], IMAGES, how)[0] for how in ("pooled", "flattened"))
    assert torch.allclose(pooled, maps.mean((2, 3)), atol=1e-5)
    assert torch.allclose(flat, maps.flatten(1), atol=1e-5)


@torch.no_grad()
def test_several_layers_come_in_the_requested_order_and_nothing_after_them_runs():
    subject, ran = network(), []
    subject.backbone.layer3.register_forward_hook(lambda *_: ran.append(1))
    found = layer_outputs(subject, ["layer2", "layer1"], IMAGES, "pooled")
    assert [value.shape[1] for value in found] == [32, 16]
    assert not ran


def test_an_empty_layer_is_refused_with_the_names_to_give():
    with pytest.raises(
        UserError, match=r"strategy\.layer is empty; give last or a stage of resnet20 \(stem, layer1, layer2, layer3"
    ):
        parse_layers(" + ", network())


def test_an_unknown_layer_is_refused_with_the_closest_name_and_the_stages():
    with pytest.raises(UserError, match=r"no layer 'layer33', did you mean 'layer3'\? .*layer1, layer2, layer3"):
        parse_layers("layer33", network())
    assert parse_layers("last+layer1", network()) == ["last", "layer1"]


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v2", "densenet40_k12", "plain20", "smallinception"])
@torch.no_grad()
def test_folding_batch_norms_does_not_change_the_features(name):
    subject = network(name)
    fused = fused_copy(subject, ["last"], IMAGES, "pooled")
    norms = [sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()) for net in (subject, fused)]
    # A DenseNet concatenates between convolution and batch norm, so nothing can be folded.
    assert (norms[1] < norms[0]) == (name != "densenet40_k12")
    expected, found = (layer_outputs(net, ["last"], IMAGES * 0.7, "pooled")[0] for net in (subject, fused))
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


@torch.no_grad()
def test_a_cut_between_convolution_and_batch_norm_keeps_its_features():
    subject, layers = network("mobilenet_v2"), ["features.0.0"]
    fused = fused_copy(subject, layers, IMAGES, "pooled")
    expected, found = (layer_outputs(net, layers, IMAGES, "pooled")[0] for net in (subject, fused))
    assert torch.allclose(found, expected, atol=1e-5)


@torch.no_grad()
def test_a_cut_network_with_a_folded_head_loads_as_an_ordinary_one():
    subject, head = network(), StandardizedLinear(64, 10)
    head.standardise_by(torch.randn(50, 64) * 3 + 1)
    torch.nn.init.normal_(head.weight)
    cut = subject.cut_at("last", "pooled", head).eval()
    folded = subject.cut_at("last", "pooled", head.folded())
    ordinary = with_saved_head(network(), {"kind": "linear", "layer": "last"}, {})
    ordinary.load_state_dict(folded.state_dict())
    assert torch.allclose(ordinary.eval()(IMAGES).logits, cut(IMAGES).logits, atol=1e-3)
    assert torch.equal(cut.classify(cut.features(IMAGES)).logits, cut(IMAGES).logits)


def test_training_a_cut_network_keeps_the_backbone_in_evaluation_mode():
    cut = network().cut_at("layer1", "pooled", StandardizedLinear(16, 10))
    strategy = StrategyConfig(name="feature_extraction")
    apply_phase(cut, plan_for(cut, strategy), 1)
    set_training_mode(cut, strategy)
    assert cut.head.training
    assert not any(module.training for module in cut.backbone.modules())
