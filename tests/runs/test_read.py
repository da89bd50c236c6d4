import json

import pytest
from made_up_runs import break_run, configuration, make_run, write_json_lines

from vision2.runs.read import read_runs
from vision2.runs.sweep_folder import SweepFolder


def test_good_runs_are_read_and_broken_ones_are_reported(tmp_path):
    good = make_run(tmp_path / "digits" / "resnet20-scratch", "20250101-000000-aaaa", configuration())
    make_run(tmp_path / "digits", "failed", configuration(seed=1), status="failed", error="loss is not finite")
    break_run(make_run(tmp_path, "cut", configuration()))
    break_run(make_run(tmp_path, "empty", configuration()), "{}")
    break_run(make_run(tmp_path, "other", configuration()), '{"config": {}, "status": "odd"}')
    break_run(make_run(tmp_path, "hollow", configuration()), '{"config": {}, "status": "completed", "metrics": {}}')
    (make_run(tmp_path, "running", configuration()) / "summary.json").unlink()
    (make_run(tmp_path, "middle", configuration()) / "metrics.jsonl").write_text('{"epoch": 1}\n?\n{"epoch": 3}\n')
    runs, problems = read_runs(tmp_path)
    assert {run.path.name for run in runs} == {good.name, "failed"}
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert set(reasons) == {"cut", "empty", "other", "hollow", "running", "middle"}
    assert "not valid JSON" in reasons["cut"] and "killed" in reasons["running"] and "line 2" in reasons["middle"]


def test_dotted_keys_are_looked_up_in_configuration_then_summary(tmp_path):
    make_run(tmp_path, "a", configuration(seed=3), accuracy=0.75)
    (run,), _ = read_runs(tmp_path)
    assert (run.get("model.name"), run.seed, run.get("metrics.test.accuracy")) == ("resnet20", 3, 0.75)
    assert run.get("model.nothing") is None and run.get("metrics.test.accuracy.deep") is None
    assert [record["epoch"] for record in run.history] == [1, 2, 3]


def test_a_sweep_folder_is_read_as_the_runs_of_its_jobs(tmp_path):
    mine = make_run(tmp_path / "digits" / "a-scratch", "1", configuration())
    make_run(tmp_path / "digits" / "a-scratch", "2", configuration(seed=1))
    sweep = tmp_path / "sweeps" / "s"
    sweep.mkdir(parents=True)
    folder = SweepFolder(sweep)
    folder.add({"command": "a", "status": "completed", "error": None, "run": str(mine)})
    folder.add({"command": "b", "status": "failed", "error": "no such data", "run": None})
    runs, problems = read_runs(sweep)
    assert [run.path for run in runs] == [mine]
    assert [problem.reason for problem in problems] == ["failed before it began: no such data"]


def test_a_sweep_is_found_again_after_the_output_folder_was_moved(tmp_path):
    mine = make_run(tmp_path / "old" / "digits" / "a-scratch", "1", configuration())
    sweep = tmp_path / "old" / "sweeps" / "s"
    sweep.mkdir(parents=True)
    SweepFolder(sweep).add({"command": "a", "status": "completed", "error": None, "run": str(mine)})
    (tmp_path / "old").rename(tmp_path / "new")
    runs, problems = read_runs(tmp_path / "new" / "sweeps" / "s")
    assert [run.path.name for run in runs] == ["1"] and not problems


@pytest.mark.parametrize("folder", ["nothing here", "."])
def test_a_folder_without_runs_yields_nothing(tmp_path, folder):
    assert read_runs(tmp_path / folder) == ([], [])


def test_a_job_list_that_a_kill_left_incomplete_is_read_up_to_there(tmp_path):
    mine = make_run(tmp_path, "1", configuration())
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    write_json_lines(sweep / "jobs.jsonl", [{"command": "a", "status": "completed", "error": None, "run": str(mine)}])
    with (sweep / "jobs.jsonl").open("a") as stream:
        stream.write('{"command": "b", "sta')
    assert [run.path for run in read_runs(sweep)[0]] == [mine]


def test_a_failure_that_the_full_disk_kept_from_the_run_is_read_from_its_sweep(tmp_path):
    run = make_run(tmp_path / "digits" / "a-scratch", "1", configuration(), status="running")
    folder = SweepFolder(tmp_path / "sweeps" / "s")
    folder.path.mkdir(parents=True)
    folder.add({"command": "a", "status": "failed", "error": "the disk is full", "run": str(run)})
    (found,), _ = read_runs(folder.path)
    assert (found.summary["status"], found.summary["error"]) == ("failed", "the disk is full")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config.model", "resnet20"),
        ("config.dataset", {"root": "images"}),
        ("config.experiment", "a claim"),
        ("metrics", [0.9]),
        ("metrics.test", 0.9),
        ("metrics.test.per_class", [0.9]),
        ("metrics.test.per_class", [{"name": "cat"}]),
        ("metrics.test.calibration", [{"bin": 1}]),
        ("data", "digits"),
        ("data.copies_in_train", {"test": 3}),
        ("identity", "abc"),
        ("identity", {"config": "abc"}),
        ("weights", "imagenet"),
        ("lineage", [{"model": "resnet20"}]),
        ("trainable_map", [{"stage": "stem"}]),
        ("classes", 3),
    ],
)
def test_a_summary_of_another_version_is_reported_and_names_the_entry(tmp_path, key, value):
    file = make_run(tmp_path, "a", configuration()) / "summary.json"
    summary = json.loads(file.read_text())
    *sections, name = key.split(".")
    place = summary
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value
    file.write_text(json.dumps(summary))
    runs, (problem,) = read_runs(tmp_path)
    assert runs == []
    assert problem.reason == f"summary.json has an unexpected {key}; read it with the version of vision2 that wrote it"


@pytest.mark.parametrize("line", ["[]", "{}", '{"run": 3, "command": "a", "status": "completed", "error": null}'])
def test_a_job_that_another_program_wrote_is_ignored(tmp_path, line):
    (tmp_path / "jobs.jsonl").write_text(f"{line}\n")
    assert read_runs(tmp_path) == ([], [])


def test_a_record_of_a_sweep_that_is_no_mapping_is_ignored(tmp_path):
    (tmp_path / "sweep.json").write_text("[]")
    assert SweepFolder(tmp_path).description() == {}
