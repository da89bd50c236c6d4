"""From overrides to a checked configuration: which ones compose, and with which message the others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from vision2.basics.errors import UserError
from vision2.config.compose import compose_config, from_dict, load_config, to_config
from vision2.config.location import config_folder, options
from vision2.models.settings import ModelConfig

BY_CLASS = ["dataset=digits", "dataset.split_by=class"]
FROZEN = ["strategy=feature_extraction", "model=resnet18"]


def problems(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        load_config(overrides)
    return caught.value.problems


@pytest.mark.parametrize(("group", "option"), [(group, o) for group in ("dataset", "strategy") for o in options(group)])
def test_every_data_set_and_strategy_composes_and_parses(group, option, tmp_path):
    root = [f"dataset.root={tmp_path}"] if option == "folder" else []
    split = [] if option == "eszsl" else ["dataset.split_by=class"]
    config = load_config([f"{group}={option}", "model=resnet18", *split, *root])
    nothing_learned = option in ("pixels", "untrained")
    assert getattr(config, group).name == ("feature_extraction" if nothing_learned else option)


def test_every_model_composes_and_parses():
    whole = compose_config(["dataset.image_size_px=299"])
    for option in options("model"):
        whole.model = OmegaConf.merge(ModelConfig, OmegaConf.load(config_folder() / "model" / f"{option}.yaml"))
        assert to_config(whole).model.name, option
    assert load_config(["model=mobilenet_v1", "model.width=0.5"]).model.width == 0.5


def test_defaults_train_a_small_residual_network_on_digits():
    config = load_config([])
    assert (config.model.name, config.dataset.name, config.strategy.name) == ("resnet20", "digits", "scratch")


def test_zero_is_a_value():
    config = load_config(["seed=0", "strategy.lr=0.0", "train.warmup_epochs=0"])
    assert (config.seed, config.strategy.lr, config.train.warmup_epochs) == (0, 0.0, 0.0)


def test_all_mistakes_of_a_command_line_are_reported_at_once():
    found = problems("model=resnet5", "train.epoch=3", "train.batch_size=many", "seed=-1")
    assert len(found) == 4


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("model=resnet500", "did you mean 'resnet50'"),
        ("strategy=finetun", "did you mean 'finetune'"),
        ("strategy.lrr=0.1", "did you mean 'strategy.lr'"),
        ("+strategy.lrr=0.1", "did you mean 'strategy.lr'"),
        ("lr=0.1", "did you mean 'strategy.lr'"),
        ("train.milestones=[a]", "it must be a list of numbers, e.g. [0.5,0.75]"),
        ("train.epochs=${model.name}", "invalid setting: train.epochs: Value 'resnet20' of type 'str' could not be"),
        ("hydra.foo=1", "invalid configuration: Could not override 'hydra.foo'; correct this override or YAML file"),
        ("train.epochs=ten", "train.epochs is 'ten'; it must be a whole number"),
        ("train.schedule=cosin", "did you mean 'cosine'"),
        ("dataset.val_fraction=2", "it must be between 0.01 and 0.9"),
        ("~train.epochs", "would remove a setting; write train.epochs=VALUE instead"),
        ("train.epochs 3", "cannot read"),
        ("strategy.lr=nan", "finite"),
        ("seed=glob(*)", "cannot read 'seed=glob(*)'"),
        ("seed=null", "seed is null; it must be a whole number"),
        ("strategy.lr=1,5", "strategy.lr=1,5 has several values, but this command accepts one; write a list as [a,b]"),
        ("model=null", "unknown model 'null'"),
        ("train=3", "train is a group of settings"),
        ("dataset.augment=none", "dataset.augment is a group of settings"),
        ("dataset.classes=0", "it must be a list, e.g. [cat,dog]"),
        ("episodes.way=5", "episodes.way is '5'; it must be a list of whole numbers, e.g. [5,20]"),
        ("strategy.rules=[{match: 'head.*', lr_scal: 2}]", "it must be a list of {match"),
        ("strategy.rules=[{match: 'head.*', lr_scale: -1}]", "the lr_scale of 'head.*' is -1.0; it must"),
        ("strategy.rules.0.frozen=true", "strategy.rules, which can only be set as a whole: strategy.rules=VALUE"),
        ("strategy.rules=[{match: 'body.layer1.*'}]", "old name of the backbone; write 'backbone.layer1.*'"),
        ("resume=", "resume is empty"),
        ("dataset.cache_dir=''", "dataset.cache_dir is empty"),
        ("output_dir=", "output_dir is empty"),
        ("dataset.root=.", "add dataset=folder"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_allowed(word, text):
    (problem,) = problems(word)
    assert text in problem
    assert "\n" not in problem


def test_a_sweep_over_data_sets_may_hold_digits_beside_a_root(tmp_path):
    assert load_config(["dataset=digits", f"dataset.root={tmp_path}"]).dataset.name == "digits"


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["strategy=finetune", "model=plain20"], "has no published weights"),
        (["strategy=finetune", "model=resnet18", "weights.name=none"], "needs pretrained weights"),
        (["model=resnet18", "weights.name=default"], "strategy=scratch starts from random weights"),
        (["model=vgg16", "dataset.image_size_px=31"], "needs at least 32 px"),
        (["model=resnet20", "model.aux=true"], "no auxiliary classifiers"),
        (["dataset.shots_per_class=5", "dataset.fraction=0.5"], "set only one of them"),
        (["dataset=folder", "model=resnet18"], "dataset=folder needs dataset.root=PATH"),
        (
            ["dataset=plants", "dataset.root=absent", "model=resnet18"],
            "dataset.root=absent does not exist; set it to the folder or archive of the images",
        ),
        (["mode=eval"], "mode=eval needs checkpoint=FILE"),
        (["weights.path=absent.pth"], "weights.path=absent.pth does not exist; set it to a weights file"),
        (["weights.key=ema"], "weights.key describes weights.path, which is not set; add weights.path=FILE or leave it out"),
        (
            ["weights.path=.", "weights.classes=absent.txt"],
            "weights.classes=absent.txt is not a file; give a text file with one class per line",
        ),
        (["dataset.augment.mixup=0.2", "dataset.augment.cutmix=1"], "exclude each other"),
        (["weights.path=.", "weights.name=default", "strategy=finetune"], "both name weights"),
        (["weights.path=.", "weights.sha256=abc", "strategy=finetune"], "must be the 8 to 64 hexadecimal digits"),
        (["strategy.head_first_epochs=3", "train.epochs=3"], "leaves none of train.epochs=3 for the backbone"),
        (["strategy=finetune", "weights.path=.", "strategy.source=."], "both name pretrained weights; set only one"),
        (
            ["weights.sha256=0123456789"],
            "the checksum of weights.path, which is not set; add weights.path=FILE or leave it out",
        ),
        (["train.sampler=balanced", "train.class_weights=balanced"], "both correct class imbalance; set only one"),
        (["train.milestones=[0.9,0.5]"], "must be increasing fractions of the run, e.g. [0.5,0.75]"),
        (["checkpoint=."], "checkpoint=FILE needs mode=eval; to train from the file use weights.path=FILE"),
        (["strategy=finetune", "strategy.source=before"], "train a run first; set strategy.source=RUN_FOLDER"),
        (["strategy=finetune", "strategy.source=absent"], "strategy.source=absent does not exist; set it to the folder of a c"),
        (["dataset.cache_dir=~nobody9/x"], "which names an unknown home directory; set it to a folder"),
        (["dataset=folder", "dataset.root=~nobody9/x"], "dataset.root=~nobody9/x names an unknown home directory"),
        (["resume=absent"], "resume=absent does not exist; set it to the folder of a run"),
        (["mode=eval", "checkpoint=absent.pt"], "checkpoint=absent.pt does not exist; set it to a checkpoint"),
        (
            ["strategy=eszsl", "strategy.source=.", "dataset.unseen_drawn=2"],
            "strategy.source=. has no effect on strategy=eszsl, which starts from random weights unless strategy.pretrained",
        ),
        ([*BY_CLASS, "strategy=protonet", "weights.path=."], "weights.path=. has no effect on strategy=protonet"),
        (
            [*BY_CLASS, "strategy=fomaml", "weights.name=default", "model=resnet18"],
            "weights.name, or add strategy.pretrained=true",
        ),
        ([*BY_CLASS, *FROZEN, "strategy.classifier=knn"], "strategy.classifier=knn has no effect with dataset.split_by=class"),
        ([*BY_CLASS, *FROZEN, "strategy.layer=layer2"], "strategy.layer=layer2 has no effect with dataset.split_by=class"),
        ([*BY_CLASS, "strategy=eszsl"], "leaves out classes with dataset.unseen; leave out dataset.split_by=class"),
        (["strategy.classifier=svm"], "applies only to strategy=feature_extraction"),
        (
            ["strategy.unfreeze_every_epochs=1", "strategy.unfreeze_from=layer2"],
            "strategy.unfreeze_every_epochs and strategy.unfreeze_from contradict each other; set only one of them",
        ),
        ([*FROZEN, "strategy.unfreeze_from=layer4"], "strategy.unfreeze_from=layer4 has no effect on strategy=feature_extract"),
        ([*FROZEN, "strategy.unfreeze_every_epochs=2"], "strategy.unfreeze_every_epochs=2 has no effect on strategy=feature_e"),
        ([*FROZEN, "strategy.backbone_lr_scale=0.1"], "strategy.backbone_lr_scale=0.1 has no effect on strategy=feature_extra"),
        ([*FROZEN, "strategy.layer_decay=0.5"], "strategy.layer_decay=0.5 has no effect on strategy=feature_extraction"),
        ([*FROZEN, "strategy.l2_sp=0.01"], "strategy.l2_sp=0.01 has no effect on strategy=feature_extraction"),
        ([*FROZEN, "strategy.head_first_epochs=2"], "never trains the backbone; leave it out, or use strategy=finetune"),
        (
            [*FROZEN, "train.sampler=balanced"],
            "train.sampler=balanced cannot be used with strategy.classifier=logistic, which is fitted to all images at once;"
            " use train.sampler=shuffle, or strategy.classifier=linear",
        ),
        (
            [*FROZEN, "strategy.classifier=knn", "train.class_weights=balanced"],
            "train.class_weights=balanced cannot be used with strategy.classifier=knn; leave it out",
        ),
        (
            [*FROZEN, "strategy.features=every_epoch"],
            "strategy.classifier=logistic needs strategy.features=once (with features=every_epoch it must be linear)",
        ),
    ],
)
def test_contradictory_values_are_found_before_anything_is_touched(overrides, text):
    assert any(text in problem for problem in problems(*overrides))


def test_a_wrong_environment_variable_is_refused_with_the_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("VISION2_FEATURE_ENGINE", "onnx")
    monkeypatch.setenv("VISION2_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert problems() == (
        "the environment variable VISION2_FEATURE_ENGINE is 'onnx'; it must be auto, onnxruntime or torch",
        f"the environment variable VISION2_CACHE is {tmp_path / 'file'}, which is a file; set it to a folder, or leave it out"
        " to use ~/.cache/vision2",
    )
    (found,) = problems("dataset.cache=off")  # then no cache is needed
    assert "VISION2_FEATURE_ENGINE" in found


def test_a_saved_configuration_cannot_read_the_environment_or_name_code():
    saved = {"model": {"name": "resnet20"}, "dataset": {"name": "digits"}, "strategy": {"name": "scratch"}}
    assert from_dict(saved).model.name == "resnet20"
    with pytest.raises(UserError, match=r"has an interpolation .*restore the file as saved"):
        from_dict(saved | {"output_dir": "${oc.env:HOME}"})
    with pytest.raises(
        UserError, match=r"does not fit this version of vision2 \(.*; use the version that wrote it|unknown key"
    ):
        from_dict(saved | {"model": {"name": "resnet20", "_target_": "os.system"}})


def test_a_clipping_norm_of_zero_is_refused_since_nothing_would_learn():
    with pytest.raises(UserError, match=r"train\.clip_norm is 0, which would stop all learning"):
        load_config(["train.clip_norm=0"])


def test_weights_that_have_moved_do_not_stop_a_resumed_run_or_an_evaluation(tmp_path):
    gone = f"weights.path={tmp_path / 'gone.pth'}"
    with pytest.raises(UserError, match=r"weights\.path=.* does not exist"):
        load_config(["model=resnet18", "strategy=finetune", gone])
    load_config(["model=resnet18", "strategy=finetune", gone, f"resume={tmp_path}"])


@pytest.mark.parametrize(("typed", "meant"), [("modle=resnet18", "model"), ("stratgy=finetune", "strategy")])
def test_a_mistyped_group_is_recognised_as_a_group(typed, meant):
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        load_config([typed])


def test_train_advises_m_for_several_values():
    with pytest.raises(UserError, match="has several values; to train with each of them add -m; write a list"):
        compose_config(["strategy.lr=1,5"])


@pytest.mark.parametrize("text", ["${by_budget:1}", "${by_budget:1,2,3}", "${by_budget:}"])
def test_by_budget_with_another_number_of_values_is_explained_without_python(text):
    (problem,) = problems(f"train.epochs={text}")
    assert "by_budget needs two values, ${by_budget:LITE,FULL}" in problem
    assert "lambda" not in problem and "argument" not in problem


def test_a_sweep_may_combine_a_weights_file_with_strategies_that_always_start_at_random():
    for strategy in ("scratch", "untrained"):
        load_config([*BY_CLASS, f"strategy={strategy}", "model=resnet18", "weights.path=."])


def test_epochs_for_the_head_first_are_harmless_if_only_the_head_is_trained():
    words = ["strategy=finetune", "model=resnet18", "strategy.unfreeze_from=head", "train.epochs=3"]
    assert load_config([*words, "strategy.head_first_epochs=3"]).strategy.head_first_epochs == 3


def test_a_path_that_may_not_be_looked_at_is_one_problem_among_others(monkeypatch):
    right = Path.exists

    def refused(path):
        if path.is_relative_to("/secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return right(path)

    monkeypatch.setattr("pathlib.Path.exists", refused)
    found = problems("dataset=folder", "dataset.root=/secret/photos", "resume=/secret/run")
    assert [problem.partition(";")[0] for problem in found] == [
        "resume=/secret/run cannot be read (Permission denied)",
        "dataset.root=/secret/photos cannot be read (Permission denied)",
    ]
