"""Find, check and load weights from small files that are made here."""

from __future__ import annotations

import hashlib
import pickle

import pytest
import torch
from made_up_networks import cheap_network
from weight_files import RESNET20, library_state, saved

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.config.compose import load_config
from vision2.models.build import build_model, meta_network
from vision2.models.cards import card_for
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.models.weights.load import find_weights, imagenet_classes, load_weights

RESNET18 = ModelConfig(name="resnet18")


@pytest.mark.parametrize("file", ["weights.pth", "weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("layout", ["library", "ours", "wrapped"])
def test_every_file_format_and_layout_loads_completely(tmp_path, resnet20, file, layout):
    state = resnet20.state_dict() if layout == "ours" else library_state(resnet20)
    if layout == "wrapped" and not file.endswith(".safetensors"):
        state = {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}
    network = build_model(RESNET20, 10, seed=2)
    report = load_weights(network, find_weights(saved(tmp_path / file, state), RESNET20), 0.9)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), resnet20.state_dict().values(), strict=True))
    assert (report.adapted, report.dropped, report.kept) == ((), (), ())
    assert report.parameters_loaded == report.parameters_total == 269_722 - 650
    assert report.tensors_loaded == report.tensors_total == 19 * 5
    assert report.sha256 == hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
    assert "95 of 95 backbone tensors, 269,072 of 269,072 parameters" in report.describe()


def test_a_head_for_another_class_count_is_dropped_and_reported(tmp_path, resnet20):
    source = find_weights(saved(tmp_path / "w.pth", library_state(resnet20)), RESNET20)
    network = build_model(RESNET20, 4, seed=2)
    before = network.head.weight.clone()
    report = load_weights(network, source, 0.9)
    assert torch.equal(network.head.weight, before)
    assert torch.equal(network.backbone.conv1.weight, resnet20.backbone.conv1.weight)
    assert report.dropped == report.kept == ("head.weight", "head.bias")
    assert "dropped: head.weight, head.bias" in report.describe()


def checkpoint(network, **changes) -> dict:
    content = {
        "format": "vision2",
        "model": network.state_dict(),
        "classes": [f"class{i}" for i in range(10)],
        "preprocessing": Preprocessing(32, 32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)).to_dict(),
        "model_config": dict(vars(RESNET20)),
    }
    return content | changes


def test_our_checkpoint_brings_its_preprocessing_and_its_classes(tmp_path, resnet20):
    saved(tmp_path / "best.pt", checkpoint(resnet20))
    source = find_weights(WeightsConfig(path=str(tmp_path)), RESNET20)  # a run folder means its best checkpoint
    assert source.classes_of(10) == tuple(f"class{i}" for i in range(10))
    network = build_model(RESNET20, 10, seed=2)
    load_weights(network, source, 0.9)
    assert network.preprocessing == Preprocessing(32, 32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert torch.equal(network.head.weight, resnet20.head.weight)


def test_a_head_for_other_classes_is_not_kept_even_if_it_fits(tmp_path, resnet20):
    source = find_weights(saved(tmp_path / "best.pt", checkpoint(resnet20)), RESNET20)
    network = build_model(RESNET20, 10, seed=2)
    report = load_weights(network, source, 0.9, classes=[f"other{i}" for i in range(10)])
    assert not torch.equal(network.head.weight, resnet20.head.weight)
    assert report.dropped == ("head.weight", "head.bias")


@pytest.mark.parametrize(
    ("model", "typed"),
    [
        (ModelConfig("resnet32"), "model.name=resnet20"),
        (ModelConfig("resnet20", shortcut="B"), "model.shortcut=null"),
        (ModelConfig("resnet32", shortcut="B"), "model.name=resnet20 model.shortcut=null"),
    ],
)
def test_a_checkpoint_of_another_model_of_ours_is_refused_with_what_to_type(tmp_path, resnet20, model, typed):
    config = saved(tmp_path / "best.pt", checkpoint(resnet20))
    with pytest.raises(UserError, match=f"holds another model; to use it, type {typed}$"):
        find_weights(config, model)
    asked = [f"model={model.name}", f"model.shortcut={model.shortcut or 'null'}"]
    assert find_weights(config, load_config([*asked, *typed.split()]).model).own_classes


@pytest.mark.parametrize("part", ["model", "preprocessing", "classes"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_checkpoint_that_lacks_a_part_is_refused_in_one_sentence(tmp_path, resnet20, part, value):
    content = {**checkpoint(resnet20), part: value}
    if value == "absent":
        del content[part]
    with pytest.raises(UserError, match=rf"best.pt is not a complete vision2 checkpoint \({part}\); .*train again") as caught:
        find_weights(saved(tmp_path / "best.pt", content), RESNET20)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("values", [{"image_size_px": 32}, {"image_size_px": 32, "mean": 1, "std": 1}, {"sharpen": 1}])
def test_preprocessing_of_another_version_is_refused_with_what_to_do(tmp_path, resnet20, values):
    content = checkpoint(resnet20, preprocessing=values)
    with pytest.raises(UserError, match=r"by another version of vision2 \(preprocessing: .*\); use that version"):
        find_weights(saved(tmp_path / "best.pt", content), RESNET20)


def test_a_model_configuration_that_is_no_dict_is_refused(tmp_path, resnet20):
    with pytest.raises(UserError, match=r"not a complete vision2 checkpoint \(model_config\)"):
        find_weights(saved(tmp_path / "best.pt", checkpoint(resnet20, model_config="resnet20")), RESNET20)


def test_another_sha256_is_refused(tmp_path, resnet20):
    config = saved(tmp_path / "w.pth", library_state(resnet20))
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    assert find_weights(WeightsConfig(path=config.path, sha256=digest.upper()), RESNET20).sha256 == digest
    with pytest.raises(UserError, match="is not the expected file"):
        find_weights(WeightsConfig(path=config.path, sha256="0" * 64), RESNET20)


def test_too_little_coverage_is_refused_with_tensor_names_and_changes_nothing(tmp_path, resnet20):
    state = {n: t for n, t in library_state(resnet20).items() if not n.startswith("layer3")} | {"extra.weight": torch.ones(2)}
    source = find_weights(saved(tmp_path / "w.pth", state), RESNET20)
    network = build_model(RESNET20, 10, seed=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=r"fills 2\d\.\d% of the backbone of resnet20.*backbone.layer3.*extra.weight"):
        load_weights(network, source, 0.9)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    report = load_weights(network, source, 0.2)
    assert report.dropped == ("backbone.extra.weight",)
    assert all(name.startswith("backbone.layer3") for name in report.kept)


def test_loading_nothing_is_refused_even_with_min_coverage_0(tmp_path):
    source = find_weights(saved(tmp_path / "w.pth", {"a": torch.ones(1)}), RESNET20)
    with pytest.raises(UserError, match=r"fills 0\.0%"):
        load_weights(build_model(RESNET20, 10, seed=2), source, 0.0)


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("name", ["bomb.pth", "plain.pth", "bytes.safetensors"])
def test_files_with_code_or_garbage_are_refused_and_no_code_is_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if name == "bomb.pth":
        torch.save({"weight": torch.ones(1), "evil": Bomb()}, path)
    elif name == "plain.pth":
        path.write_bytes(pickle.dumps({"evil": Bomb()}))
    else:
        path.write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match=r"contains code|damaged or contains no weights"):
        find_weights(WeightsConfig(path=str(path)), RESNET20)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_refused_with_what_to_give(tmp_path):
    with pytest.raises(
        UserError, match=r"none\.pth does not exist; give a \.pth or \.safetensors file, or a folder with best\.pt"
    ):
        find_weights(WeightsConfig(path=str(tmp_path / "none.pth")), RESNET20)


def test_a_larger_first_kernel_is_cropped_for_the_small_stem_and_reported(tmp_path):
    imagenet = cheap_network(RESNET18, 1000, 224)
    with torch.no_grad():
        imagenet.backbone.conv1.weight.copy_(torch.arange(64 * 3 * 49).reshape(64, 3, 7, 7))
    source = find_weights(saved(tmp_path / "resnet18_imagenet.pth", library_state(imagenet)), RESNET18)
    assert source.classes_of(1000) == imagenet_classes()
    small = ModelConfig(name="resnet18", stem="small")
    network = meta_network(small, 10).to_empty(device="cpu")
    report = load_weights(network, source, 0.9)
    assert report.adapted == ("backbone.conv1.weight",)
    assert torch.equal(network.backbone.conv1.weight, imagenet.backbone.conv1.weight[:, :, 2:5, 2:5])
    assert report.coverage == 1.0
    assert "adapted: backbone.conv1.weight" in report.describe()


def test_the_untrained_auxiliary_heads_in_torchvisions_googlenet_file_are_left_out(tmp_path):
    config = ModelConfig(name="googlenet", aux=True)
    donor = cheap_network(config, 1000, 224)
    source = find_weights(saved(tmp_path / "w.pth", library_state(donor)), config)
    report = load_weights(cheap_network(config, 1000, 224), source, 0.9)
    assert report.kept
    assert all(name.startswith("backbone.aux") for name in report.kept)
    assert report.kept == report.dropped
    assert report.preprocessing == Preprocessing(224, 256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_the_old_names_in_torchvisions_densenet_files_are_understood(tmp_path):
    config = ModelConfig(name="densenet121")
    state = library_state(cheap_network(config, 1000, 224))
    old = {n.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in n else n: t for n, t in state.items()}
    assert set(old) != set(state)
    report = load_weights(cheap_network(config, 1000, 224), find_weights(saved(tmp_path / "w.pth", old), config), 0.9)
    assert (report.coverage, report.dropped, report.kept) == (1.0, (), ())


@pytest.mark.parametrize(
    ("name", "head"),
    [("mobilenet_v2", "classifier.1"), ("mobilenet_v1", "classifier"), ("inception_v4", "last_linear")],
)
def test_the_head_is_found_under_each_librarys_own_name(tmp_path, name, head):
    config = ModelConfig(name=name)
    donor = cheap_network(config, 1000, 224)
    assert donor.head_key == head
    report = load_weights(
        cheap_network(config, 1000, 224),
        find_weights(saved(tmp_path / "w.safetensors", library_state(donor)), config),
        0.9,
    )
    assert (report.coverage, report.dropped, report.kept) == (1.0, (), ())
    assert report.preprocessing == card_for(config).preprocessing


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty hub folder, and no internet: every connection is refused."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize(
    ("model", "file"),
    [
        (RESNET18, "resnet18-f37072fd.pth"),
        (ModelConfig(name="xception"), "xception-43020ad28.pth"),
        (ModelConfig(name="inception_v4"), "timm/inception_v4.tf_in1k/model.safetensors"),
    ],
)
def test_offline_and_without_a_copy_the_error_names_the_file_and_what_to_type(offline, model, file):
    with pytest.raises(UserError) as error:
        find_weights(WeightsConfig(), model)
    sentence = str(error.value)
    assert "\n" not in sentence
    for part in (file, "weights.path=FILE", "strategy=scratch", "cannot be downloaded", "copy them there"):
        assert part in sentence


def test_a_cached_file_is_used_offline_if_it_has_the_hash_in_its_name(offline, monkeypatch):
    from torchvision.models import ResNet18_Weights

    offline.mkdir(parents=True)
    donor = cheap_network(RESNET18, 1000, 224)
    torch.save(library_state(donor), offline / "tmp.pth")
    digest = hashlib.sha256((offline / "tmp.pth").read_bytes()).hexdigest()
    named = offline / "resnet18-f37072fd.pth"
    (offline / "tmp.pth").rename(named)
    with pytest.raises(UserError, match="is not the expected file"):
        find_weights(WeightsConfig(), RESNET18)
    right = named.with_name(f"resnet18-{digest[:8]}.pth")
    named.rename(right)
    url = f"https://example.invalid/{right.name}"
    monkeypatch.setattr(type(ResNet18_Weights.IMAGENET1K_V1), "url", property(lambda self: url), raising=False)
    source = find_weights(WeightsConfig(name="IMAGENET1K_V1"), RESNET18)
    assert source.sha256 == digest
    assert source.name == "torchvision resnet18 IMAGENET1K_V1"
    assert (source.preprocessing.image_size_px, source.preprocessing.resize_px) == (224, 256)
    assert len(source.classes_of(1000)) == 1000


@pytest.mark.parametrize(
    ("weights", "model", "sentence"),
    [
        ("IMAGENET1K_V3", "resnet50", "resnet50 has no weights 'IMAGENET1K_V3', did you mean 'IMAGENET1K_V2'?"),
        ("default", "plain18", "plain18 has no published weights"),
        ("default", "mobilenet_v1", "model=mobilenet_v1_timm"),
    ],
)
def test_a_set_of_weights_that_does_not_exist_is_refused_with_what_does(weights, model, sentence):
    with pytest.raises(UserError) as error:
        find_weights(WeightsConfig(name=weights), ModelConfig(name=model))
    assert sentence in str(error.value)


def test_weights_name_none_finds_no_weights():
    assert find_weights(WeightsConfig(name="none"), RESNET20) is None
