import csv
import statistics

import pytest
from made_up_runs import configuration, make_run

from vision2.basics.text_table import as_markdown
from vision2.basics.written import WrittenFiles
from vision2.report.tables import write_table
from vision2.runs.groups import group_runs, varying_keys
from vision2.runs.read import read_runs


@pytest.fixture
def groups_of(tmp_path):
    def grouped():
        return group_runs(read_runs(tmp_path)[0])

    return grouped


def test_seeds_of_one_configuration_make_one_row_with_mean_spread_and_n(tmp_path, groups_of):
    accuracies = [0.90, 0.92, 0.97]
    for seed, accuracy in enumerate(accuracies):
        config = configuration(seed=seed, output_dir=f"elsewhere{seed}", **{"dataset.cache": ["disk", "off", "memory"][seed]})
        make_run(tmp_path, f"r{seed}", config, accuracy=accuracy)
    make_run(tmp_path, "p0", configuration(**{"model.name": "plain20"}), accuracy=0.8)
    text = write_table(WrittenFiles(tmp_path / "out"), groups_of())
    rows = {row["configuration"]: row for row in csv.DictReader((tmp_path / "out" / "table.csv").open())}
    resnet = rows["resnet20"]
    assert (resnet["n"], resnet["seeds"], resnet["model.name"]) == ("3", "0 1 2", "resnet20")
    assert float(resnet["metrics.test.accuracy.mean"]) == pytest.approx(statistics.mean(accuracies))
    assert float(resnet["metrics.test.accuracy.std"]) == pytest.approx(statistics.stdev(accuracies))
    assert rows["plain20"]["n"] == "1" and rows["plain20"]["metrics.test.accuracy.low"] == ""
    assert "93.00 % ± 3.61 [84.04, 100.00]" in text
    assert (tmp_path / "out" / "table.md").read_text().count("\n") == 4


def test_failed_runs_are_listed_until_their_seed_succeeds(tmp_path, groups_of):
    make_run(tmp_path, "1-ok", configuration(seed=0))
    make_run(tmp_path, "2-bad", configuration(seed=1), status="failed", error="loss is not finite")
    (group,) = groups_of()
    assert [run.path.name for run in group.failed] == ["2-bad"] and len(group.runs) == 1
    make_run(tmp_path, "3-again", configuration(seed=1))
    (group,) = groups_of()
    assert group.failed == [] and len(group.runs) == 2


def test_of_a_seed_run_twice_only_the_latest_run_counts(tmp_path, groups_of):
    make_run(tmp_path, "20250101-a", configuration(), accuracy=0.5)
    make_run(tmp_path, "20250102-b", configuration(), accuracy=0.9)
    (group,) = groups_of()
    assert group.values("metrics.test.accuracy") == [0.9]
    assert [run.path.name for run in group.superseded] == ["20250101-a"]


def test_seeds_with_their_own_source_runs_share_one_configuration(tmp_path, groups_of):
    for seed in (0, 1):
        source = f"/x/outputs/cats_vs_dogs/resnet18-scratch/2025-{seed}"
        make_run(tmp_path, f"t{seed}", configuration(seed=seed, **{"strategy.source": source}))
    make_run(tmp_path, "u", configuration(**{"strategy.source": "/x/outputs/flowers/resnet18-scratch/2025-9"}))
    assert [len(group.runs) for group in groups_of()] == [2, 1]


def test_several_sources_of_one_seed_make_separate_rows(tmp_path, groups_of):
    """As in a sweep over strategy.source, where no run repeats another."""
    for number, accuracy in enumerate((0.77, 0.89)):
        source = f"/x/outputs/digits/resnet20-scratch/2025-{number}"
        make_run(tmp_path, f"t{number}", configuration(**{"strategy.source": source}), accuracy=accuracy)
    groups = groups_of()
    assert [group.values("metrics.test.accuracy") for group in groups] == [[0.77], [0.89]]
    assert [group.label for group in groups] == [f"source=digits/resnet20-scratch/2025-{n}" for n in (0, 1)]


def test_labels_contain_only_what_distinguishes_configurations(tmp_path, groups_of):
    for model, stem in (("resnet20", "a"), ("vgg16", "b")):
        for fraction in (0.1, 1.0):
            config = configuration(**{"model.name": model, "model.stem": stem, "dataset.fraction": fraction})
            make_run(tmp_path, f"{model}-{fraction}", config)
    groups = groups_of()
    assert [group.label for group in groups] == [
        "resnet20 fraction=0.1",
        "resnet20 fraction=1.0",
        "vgg16 fraction=0.1",
        "vgg16 fraction=1.0",
    ]
    assert varying_keys(groups) == ["model.name", "model.stem", "dataset.fraction"]


def test_a_single_configuration_is_named_by_model_and_strategy(tmp_path, groups_of):
    make_run(tmp_path, "a", configuration())
    assert groups_of()[0].label == "resnet20 scratch"


def test_a_bar_in_a_cell_does_not_break_the_markdown_table():
    assert as_markdown(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"


def with_identity(data="a" * 64, precision="float32"):
    return {"identity": {"data": data, "precision": precision, "lengths": [3]}}


def test_a_run_that_ended_before_it_read_its_data_belongs_to_the_runs_of_the_same_settings(tmp_path, groups_of):
    make_run(tmp_path, "1-ok", configuration(seed=0), **with_identity())
    make_run(tmp_path, "2-died", configuration(seed=1), status="failed", error="out of memory")
    (group,) = groups_of()
    assert [run.path.name for run in group.failed] == ["2-died"]


def test_runs_on_changed_data_are_told_apart_by_a_short_digest(tmp_path, groups_of):
    make_run(tmp_path, "1", configuration(), **with_identity("1234567890ab"))
    make_run(tmp_path, "2", configuration(), **with_identity("fedcba098765"))
    assert [group.label for group in groups_of()] == ["data=123456", "data=fedcba"]
