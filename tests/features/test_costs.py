import pytest

from vision2.data.settings import DatasetConfig
from vision2.features import costs
from vision2.features.costs import remembered_costs
from vision2.models.build import build_model
from vision2.models.cut import LAST
from vision2.models.heads import StandardizedLinear
from vision2.models.settings import ModelConfig

MODEL = ModelConfig(name="resnet20", library="own", shortcut="A")
# ResNet-20 for 10 classes at 32 px: its first convolution, and the whole network (He et al. 2016; docs of the catalogue).
STEM = {"weights": 3 * 3 * 3 * 16, "norm": 2 * 16, "positions": 32 * 32}


def cut_at(network, layer, features):
    return network.cut_at(layer, "pooled", StandardizedLinear(features, 10))


def cost(cut, cache):
    return remembered_costs(cut, MODEL, DatasetConfig(name="digits", cache_dir=str(cache)))


@pytest.fixture
def network():
    return build_model(MODEL, 10, seed=0, image_size_px=32)


def test_a_cut_network_costs_the_layers_before_the_cut_plus_a_head(network, tmp_path):
    found = cost(cut_at(network, "stem", 16), tmp_path)
    assert found.parameters == STEM["weights"] + STEM["norm"] + 16 * 10 + 10
    assert found.multiply_adds == STEM["weights"] * STEM["positions"] + 16 * 10


def test_a_network_cut_after_its_last_layer_costs_as_much_as_the_whole(network, tmp_path):
    found = cost(cut_at(network, LAST, 64), tmp_path)
    assert found.parameters == 269_722
    assert found.multiply_adds == pytest.approx(40.55e6, rel=1e-3)


def test_costs_are_counted_once_per_layer(network, tmp_path, monkeypatch):
    first = cost(cut_at(network, "stem", 16), tmp_path)
    whole = cost(cut_at(network, LAST, 64), tmp_path)
    monkeypatch.setattr(costs, "_count", lambda *_: pytest.fail("counted again"))
    assert cost(cut_at(network, "stem", 16), tmp_path) == first != whole
