"""`python -m vision2.summary`: stages that add up, published numbers next to them, and a table and plot of several models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from vision2.basics.errors import UserError
from vision2.models.settings import ModelConfig
from vision2.profiling import speed
from vision2.profiling.accuracy_cost import accuracy_against_cost
from vision2.profiling.model_summary import as_record, summarise_model
from vision2.profiling.summary_page import stage_table
from vision2.summary import configurations, main, model_names


def rows_of(printed: str) -> dict[str, list[str]]:
    return {line.split("  ")[0].strip(): line.split() for line in printed.splitlines() if line}


def test_one_model_shows_its_stages_and_its_totals_next_to_the_published_ones(capsys):
    assert main(["model=resnet18", "measure=false"]) == 0
    printed = capsys.readouterr().out
    rows = rows_of(printed)
    assert rows["stem"][:3] == ["stem", "64x56x56", "9,536"]  # 7·7·3·64 + 2·64
    assert rows["layer4"][1:3] == ["512x7x7", "8,393,728"]
    assert rows["layer4"][-2:] == ["435", "px"]  # Araujo et al., Distill 2019: 435 px for ResNet-18
    assert rows["parameters"] == ["parameters", "11,689,512", "11,689,512", "0"]
    assert "multiply-adds              1.814 G            1.814 G     +0.00 %" in printed
    assert "FlopCounterMode / 2" in printed
    assert "69.758 %" in printed


def test_the_stages_add_up_to_the_total():
    summary = summarise_model("smallinception", ModelConfig("smallinception"))
    headings, rows = stage_table(summary)
    number = {row[0]: int(row[headings.index("parameters")].replace(",", "")) for row in rows}
    stages = [stage.stage for stage in summary.costs.stages]
    assert sum(number[stage] for stage in stages) == number["total"]
    assert number["total"] + number["+ aux (training only)"] == number["total with aux"]


def test_costs_with_and_without_auxiliary_classifiers_do_not_depend_on_model_aux():
    for aux in (False, True):
        costs = summarise_model("googlenet", ModelConfig("googlenet", aux=aux)).costs
        assert (costs.parameters, costs.parameters_aux) == (6_624_904, 13_004_888)


def test_only_numbers_published_for_exactly_this_network_are_compared():
    small = summarise_model("resnet18_small", ModelConfig("resnet18", stem="small"))
    other_head = summarise_model("resnet20", ModelConfig("resnet20"), num_classes=2)
    ours = summarise_model("smallinception", ModelConfig("smallinception"))
    for summary in (small, other_head, ours):
        assert summary.published.parameters is None
        assert summary.published.multiply_adds is None
    assert (small.card.slides, summarise_model("resnet18", ModelConfig("resnet18")).card.slides) == ("", "1.8 G")
    other_size = summarise_model("alexnet", ModelConfig("alexnet"), image_size_px=128)
    assert other_size.published.parameters == 61_100_840
    assert other_size.published.multiply_adds is None
    counted_here = summarise_model("resnet20", ModelConfig("resnet20"))  # the paper gives its accuracy, not its counts
    assert counted_here.published.top1_percent == 91.25 and counted_here.published.parameters is None


def test_several_models_give_a_table_a_plot_and_a_tensorboard_image(tmp_path, capsys):
    assert main(["model=resnet20,plain20,mobilenet_v1", "measure=false", f"out={tmp_path}", "format=markdown"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (tmp_path / "summary.md").read_text().strip()
    row = next(line for line in printed.splitlines() if line.startswith("| mobilenet_v1 "))
    assert "| 4,231,976 | equal | 0.569 G | 0.569 G | -0.05 % | 70.6 % | 70.6 %, 569 M, 4.2 M |" in row
    records = json.loads((tmp_path / "summary.json").read_text())
    assert [record["model"] for record in records] == ["resnet20", "plain20", "mobilenet_v1"]
    picture = np.asarray(Image.open(tmp_path / "accuracy_cost.png").convert("L"))
    assert picture.min() < 100 < picture.max()
    assert any(b"accuracy against cost" in file.read_bytes() for file in tmp_path.glob("events*"))


def test_the_graph_is_written_for_tensorboard(tmp_path, capsys):
    words = ["model=resnet20", "dataset.image_size_px=8", "measure=false", "graph=true", f"out={tmp_path}"]
    assert main(words) == 0
    (events,) = (tmp_path / "resnet20").glob("events*")
    assert b"layer3" in events.read_bytes()
    assert "TensorBoard" in capsys.readouterr().err


def test_json_is_one_record_of_plain_values(capsys):
    assert main(["model=resnet20", "measure=false", "format=json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["parameters"] == 269_722
    assert record["convention"].startswith("multiply-adds of convolutions and linear layers")
    assert record["measured"] is None


def test_speed_and_memory_are_measured_for_inference_and_training(monkeypatch):
    monkeypatch.setattr(speed, "PASSES", (1, 1))
    model = ModelConfig("smallinception", aux=True)
    found = speed.measure_here(speed.Workload(model, 10, 8, 2, "cpu"))
    assert min(found.inference_images_per_second, found.training_images_per_second) > 0
    weights_mb = 4 * 648_822 / 1e6  # of float32, with auxiliary classifiers
    assert weights_mb < found.inference_memory_mb < 1.5 * weights_mb  # activations of two 8 px images are small
    assert 3 * weights_mb < found.training_memory_mb < 4 * weights_mb  # weights, gradients, momentum
    assert len(found.cells()) == 4
    again = speed.measure_here(speed.Workload(model, 10, 8, 2, "cpu"))
    assert again.inference_memory_mb == found.inference_memory_mb
    assert again.training_memory_mb == found.training_memory_mb


def test_memory_that_cannot_be_counted_is_shown_as_a_dash():
    found = speed.Measured("cpu", 2, "float32", 10.0, None, 5.0, None)
    assert found.cells() == ["10", "5.0", "-", "-"]


def test_running_out_of_memory_is_reported_with_what_to_change(monkeypatch):
    class Killed:
        def __init__(self, *args, **more):
            pass

        def __enter__(self):
            raise speed.BrokenProcessPool("killed")

        def __exit__(self, *exception):
            return False

    monkeypatch.setattr(speed, "ProcessPoolExecutor", Killed)
    with pytest.raises(UserError, match=r"512 images of 299 px in vgg19; lower train\.batch_size"):
        speed.measure(speed.Workload(ModelConfig("vgg19"), 1000, 299, 512, "cpu"))


def test_model_all_lists_every_published_model_by_data_set_and_year():
    names = model_names(["model=all"])
    assert names[0] == "alexnet"
    assert {"resnet152", "efficientnet_b7", "inception_v4", "plain110"} <= set(names)
    assert "resnet18_small" not in names
    assert names.index("vgg16") < names.index("resnet18") < names.index("mobilenet_v2") < names.index("resnet20")


def test_every_problem_of_every_model_is_reported_at_once(capsys):
    assert main(["model=resnet18,resnet5,googlenett", "measure=false"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "did you mean 'googlenet'?" in errors[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "which model?"),
        (["model=inception_v3", "dataset.image_size_px=74"], "inception_v3, which needs at least 75 px"),
        (["model=resnet20", "format=yaml"], "text, markdown, json"),
        (["model=resnet20", "num_classes=0"], "1 or more"),
        (["model=resnet20", "mesure=false"], "mesure"),
    ],
)
def test_mistakes_give_one_line_and_exit_code_2(words, sentence, capsys):
    assert main(words) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_image_sizes_are_the_models_own_unless_set():
    configs = configurations(["model=resnet18,inception_v3"])
    assert [config.dataset.image_size_px for config in configs.values()] == [None, None]
    (config,) = configurations(["model=resnet18", "dataset=cifar10"]).values()
    assert config.dataset.image_size_px == 32


def test_there_is_no_plot_without_a_published_accuracy():
    assert accuracy_against_cost([summarise_model("smallinception", ModelConfig("smallinception"))]) is None


def test_a_record_names_the_source_of_the_published_numbers():
    record = as_record(summarise_model("resnet20", ModelConfig("resnet20")))
    assert "1512.03385" in record["published"]["source"]


def test_weights_may_be_named_although_a_summary_reads_none():
    (config,) = configurations(["model=resnet18", "weights.name=default"]).values()
    assert config.weights.name == "default"
