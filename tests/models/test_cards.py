"""Our counts equal the published numbers, which are copied here from papers and model cards."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
import torch

from vision2.models.build import meta_network
from vision2.models.cards import card_for, catalogue, minimum_size
from vision2.models.settings import ModelConfig
from vision2.profiling import count
from vision2.profiling.count import Costs, count_costs

CARDS = catalogue()
REFERENCE = {  # parameters without auxiliary classifiers, image size, 10^9 multiply-adds, smallest size: evaluation, training
    "alexnet": (61_100_840, 224, 0.714, 63, 63),
    "vgg16": (138_357_544, 224, 15.470, 32, 32),
    "vgg19": (143_667_240, 224, 19.632, 32, 32),
    "googlenet": (6_624_904, 224, 1.498, 15, 15),
    "inception_v3": (23_834_568, 299, 5.713, 75, 75),
    "inception_v4": (42_679_816, 299, 12.254, 75, 75),
    "resnet18": (11_689_512, 224, 1.814, 1, 1),
    "resnet34": (21_797_672, 224, 3.664, 1, 1),
    "resnet50": (25_557_032, 224, 4.089, 1, 1),
    "resnet101": (44_549_160, 224, 7.801, 1, 1),
    "resnet152": (60_192_808, 224, 11.514, 1, 1),
    "plain18": (11_515_688, 224, 1.795, 1, 1),
    "plain34": (21_623_848, 224, 3.644, 1, 1),
    "resnext50_32x4d": (25_028_904, 224, 4.230, 1, 1),
    "densenet121": (7_978_856, 224, 2.834, 29, 29),
    "densenet169": (14_149_480, 224, 3.360, 29, 29),
    "densenet201": (20_013_928, 224, 4.291, 29, 29),
    "densenet161": (28_681_000, 224, 7.728, 29, 29),
    "mobilenet_v1": (4_231_976, 224, 0.569, 1, 1),
    "mobilenet_v2": (3_504_872, 224, 0.301, 1, 1),
    "mobilenet_v3_small": (2_542_856, 224, 0.057, 1, 1),
    "mobilenet_v3_large": (5_483_032, 224, 0.217, 1, 1),
    "xception": (22_855_952, 299, 8.357, 8, 8),
    "efficientnet_b0": (5_288_548, 224, 0.386, 1, 1),
}
CIFAR = {
    20: (269_722, 40.55),
    32: (464_154, 68.86),
    44: (658_586, 97.17),
    56: (853_018, 125.49),
    110: (1_727_962, 252.89),
}
ROUNDING = 0.0005e9  # the table has three decimals
DISTILL = {  # Araujo et al. 2019, table of receptive fields at the last convolution; DenseNet and VGG-19 by their formula
    "alexnet": ("block3", 195),
    "vgg16": ("block5", 212),
    "mobilenet_v1": ("stage5", 315),
    "inception_v3": ("mixed7", 1311),
    "inception_v4": ("inception_c", 2071),
}


@cache
def costs_of(name: str, **settings) -> Costs:
    """Costs at the model's own size; cached, because counting takes a moment."""
    return count_costs(meta_network(ModelConfig(name=name, **settings)), CARDS[name].image_size_px)


@pytest.mark.parametrize("name", REFERENCE)
def test_parameters_and_multiply_adds_equal_the_published_ones(name):
    parameters, size, giga, least_eval, least_train = REFERENCE[name]
    card = CARDS[name]
    costs = costs_of(name)
    assert costs.image_size_px == size
    assert costs.parameters == card.parameters == parameters
    assert costs.multiply_adds == pytest.approx(giga * 1e9, rel=0.005, abs=ROUNDING)
    assert card.multiply_adds == pytest.approx(giga * 1e9)
    least = [minimum_size(ModelConfig(name=name), training=training) for training in (False, True)]
    assert (card.image_size_px, *least) == (size, least_eval, least_train)


@pytest.mark.parametrize("name", [name for name in CARDS if name not in REFERENCE])
def test_the_other_cards_agree_with_our_count(name):
    card = CARDS[name]
    costs = costs_of(name)
    assert costs.parameters == card.parameters
    assert costs.multiply_adds == pytest.approx(card.multiply_adds, rel=0.005)


@pytest.mark.parametrize("depth", CIFAR)
@pytest.mark.parametrize("family", ["plain", "resnet"])
def test_cifar_nets_equal_the_paper_and_option_a_adds_no_parameters(depth, family):
    parameters, mega = CIFAR[depth]
    costs = costs_of(f"{family}{depth}")
    assert costs.image_size_px == 32
    assert costs.parameters == parameters
    assert costs.multiply_adds == pytest.approx(mega * 1e6, rel=0.001)


@pytest.mark.parametrize("depth", [20, 110])
def test_option_b_adds_two_projections(depth):
    config = ModelConfig(name=f"resnet{depth}", shortcut="B")
    counted = sum(p.numel() for p in meta_network(config).parameters())
    assert counted == CIFAR[depth][0] + 2_752 == card_for(config).parameters


def test_a_resnet_without_shortcuts_is_the_plain_net():
    assert card_for(ModelConfig(name="resnet20", shortcut="none")) == CARDS["plain20"]
    with_a, plain = (
        sum(p.numel() for p in meta_network(ModelConfig(name="resnet34", shortcut=s)).parameters()) for s in ("A", "none")
    )
    assert with_a == plain == 21_623_848


@pytest.mark.parametrize(
    ("name", "parameters", "with_aux"), [("googlenet", 6_624_904, 13_004_888), ("inception_v3", 23_834_568, 27_161_264)]
)
def test_auxiliary_classifiers_are_counted_separately(name, parameters, with_aux):
    off, on = costs_of(name), costs_of(name, aux=True)
    assert (off.parameters, off.parameters_aux) == (parameters, parameters)
    assert (on.parameters, on.parameters_aux) == (parameters, with_aux)
    assert off.multiply_adds == on.multiply_adds == off.multiply_adds_aux < on.multiply_adds_aux


@pytest.mark.parametrize(("width", "parameters", "mega"), [(0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)])
def test_the_width_multiplier_gives_the_mobilenets_of_the_paper(width, parameters, mega):
    """1704.04861, table 6."""
    costs = costs_of("mobilenet_v1", width=width)
    assert costs.image_size_px == 224
    assert round(costs.parameters / 1e6, 1) == parameters
    assert costs.multiply_adds / 1e6 == pytest.approx(mega, rel=0.02)


@pytest.mark.parametrize("name", DISTILL)
def test_receptive_fields_equal_published_ones(name):
    stage, pixels = DISTILL[name]
    rows = {row.stage: row for row in costs_of(name).stages}
    assert rows[stage].receptive_field_px == pixels
    assert rows["head"].receptive_field_px is None


def test_the_stages_of_resnet18_have_the_shapes_of_the_paper_and_add_up():
    """1512.03385, table 1: output sizes."""
    costs = costs_of("resnet18")
    shapes = {row.stage: row.output_shape for row in costs.stages}
    assert shapes["layer1"] == (64, 56, 56)
    assert shapes["layer4"] == (512, 7, 7)
    assert shapes["head"] == (1000,)
    assert sum(row.multiply_adds for row in costs.stages) == costs.multiply_adds
    assert costs.stages[0].multiply_adds == 64 * 3 * 7 * 7 * 112 * 112
    stem_values = 3 * 64 * 112 * 112 + 64 * 56 * 56  # convolution, norm, ReLU, pooling
    assert costs.stages[0].activation_bytes == 4 * stem_values


@pytest.mark.parametrize("name", CARDS)
def test_the_totals_of_a_run_equal_the_sums_of_the_table(name, monkeypatch):
    costs, network = costs_of(name), meta_network(ModelConfig(name=name))
    monkeypatch.setattr(count, "count_costs", None)
    assert count.count_totals(network, CARDS[name].image_size_px) == (costs.parameters, costs.multiply_adds)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "eca_resnet33ts"])  # attention; a one-dimensional convolution
def test_networks_with_other_products_have_the_totals_of_the_table(name):
    network = meta_network(ModelConfig(name=name, library="timm"), 10, 224)
    costs = count_costs(network, 224)
    assert count.count_totals(network, 224) == (costs.parameters, costs.multiply_adds)


def test_the_totals_do_not_load_the_compiler():
    code = """
import sys, torch
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.profiling.count import count_totals
network = build_model(ModelConfig("resnet20"), 10, seed=0)
print(count_totals(network, 32)[1], "torch._dynamo" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["40551040", "False"]


@pytest.mark.parametrize("count_it", [count_costs, count.count_totals])
def test_counting_does_not_change_the_network(count_it):
    network = meta_network(ModelConfig(name="googlenet", aux=True)).to_empty(device="cpu").train()
    network.backbone.conv1.eval()
    before = {name: (module.training, len(module._forward_hooks)) for name, module in network.named_modules()}
    version = network.backbone.conv1.bn.running_mean._version
    count_it(network, 224)
    assert before == {name: (module.training, len(module._forward_hooks)) for name, module in network.named_modules()}
    assert network.backbone.conv1.bn.running_mean._version == version
    assert network.backbone.conv1.conv.weight.device.type == "cpu"


def torchvision_names() -> list[str]:
    return [name for name, card in CARDS.items() if "IMAGENET1K_V1" in card.weights]


@pytest.mark.parametrize("name", torchvision_names())
def test_cards_agree_with_torchvision(name):
    from torchvision.models import get_model_weights

    card, published = CARDS[name], get_model_weights(name)
    assert set(card.weights) == {weights.name for weights in published}
    assert card.weights[-1] == published.DEFAULT.name
    assert card.top1_percent == published["IMAGENET1K_V1"].meta["_metrics"]["ImageNet-1K"]["acc@1"]
    transforms, preprocessing = published.DEFAULT.transforms(), card.preprocessing
    assert [preprocessing.image_size_px] == transforms.crop_size
    assert [preprocessing.resize_px] == transforms.resize_size
    assert preprocessing.interpolation == transforms.interpolation.value
    if name not in ("googlenet", "inception_v3"):
        assert (list(preprocessing.mean), list(preprocessing.std)) == (transforms.mean, transforms.std)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_input_transform_is_applied_once_in_our_preprocessing(name):
    """Their networks undo ImageNet's normalisation and apply mean = std = 0.5; our preprocessing does the latter directly."""
    from torchvision.models import get_model

    arguments = {"aux_logits": False, "init_weights": False, "num_classes": 2}
    theirs = get_model(name, transform_input=True, **arguments)
    image = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    preprocessing = CARDS[name].preprocessing
    ours = (image - torch.tensor(preprocessing.mean).view(3, 1, 1)) / torch.tensor(preprocessing.std).view(3, 1, 1)
    torch.testing.assert_close(theirs._transform_input((image - mean) / std), ours)
    assert meta_network(ModelConfig(name=name)).backbone.transform_input is False


@pytest.mark.parametrize("name", ["inception_v4", "xception"])
def test_cards_agree_with_timm(name):
    import timm

    from vision2.models.families.timm_networks import TIMM_NAMES, preprocessing_of

    card = CARDS[name]
    assert [f"{TIMM_NAMES[name]}.{tag}" for tag in card.weights] == timm.list_pretrained(f"{TIMM_NAMES[name]}.*")
    assert card.preprocessing == preprocessing_of(timm.get_pretrained_cfg(TIMM_NAMES[name]))


def test_every_card_names_its_paper_year_source_and_a_yaml_option():
    from pathlib import Path

    folder = Path(__file__).resolve().parents[2] / "conf" / "model"
    for name, card in CARDS.items():
        assert card.paper[0], name
        assert 2012 <= card.year <= 2019, name
        assert card.source, name
        assert (folder / f"{name}.yaml").is_file(), name
