"""Our plain and residual networks agree with torchvision's, and with the paper on shortcuts."""

from __future__ import annotations

import pytest
import torch

from vision2.models.build import build_model, meta_network
from vision2.models.families.resnet import PaddedShortcut
from vision2.models.settings import ModelConfig


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_our_resnets_have_the_names_and_shapes_of_torchvisions_tensors(depth):
    from torchvision.models import get_model

    with torch.device("meta"):
        theirs = get_model(f"resnet{depth}", weights=None).state_dict()
    ours = meta_network(ModelConfig(name=f"resnet{depth}")).state_dict()
    names = {f"backbone.{n}" if not n.startswith("fc.") else n.replace("fc.", "head."): t.shape for n, t in theirs.items()}
    assert {name: tensor.shape for name, tensor in ours.items()} == names


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("training", [False, True])
def test_the_same_tensors_give_the_same_output_as_torchvision(depth, training):
    from torchvision.models import get_model

    torch.manual_seed(0)
    theirs = get_model(f"resnet{depth}", weights=None, num_classes=10).train(training)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = meta_network(ModelConfig(name=f"resnet{depth}"), 10).to_empty(device="cpu").train(training)
    state = {
        f"backbone.{n}" if not n.startswith("fc.") else n.replace("fc.", "head."): t for n, t in theirs.state_dict().items()
    }
    ours.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images).logits, theirs(images))


def test_option_a_takes_every_second_pixel_and_pads_channels_with_zeros():
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    out = PaddedShortcut(2, 2)(x)
    assert out.shape == (1, 4, 2, 2)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, 0].any()
    assert not out[:, 3].any()


def test_with_zero_blocks_a_residual_net_passes_its_input_on_and_a_plain_net_does_not():
    """The paper's identity mapping: blocks that output zero harm only the plain network."""
    for name, passes in (("resnet20", True), ("plain20", False)):
        network = build_model(ModelConfig(name=name), 10, seed=0).eval()
        with torch.no_grad():
            for block in (*network.backbone.layer1, *network.backbone.layer2, *network.backbone.layer3):
                block.bn2.weight.zero_()
                block.bn2.bias.zero_()
            assert bool(network.features(torch.rand(1, 3, 32, 32)).any()) is passes


def test_the_small_stem_keeps_height_and_width_of_32_px_images():
    shapes = {}
    for stem in ("imagenet", "small"):
        network = meta_network(ModelConfig(name="resnet18", stem=stem))
        network.module_at("stem").register_forward_hook(lambda m, i, out, stem=stem: shapes.update({stem: out.shape[2:]}))
        network.eval()(torch.empty(1, 3, 32, 32, device="meta"))
    assert shapes == {"imagenet": (8, 8), "small": (32, 32)}
