import json
import subprocess

import numpy as np
import pytest
import yaml

from vision2.runs import environment
from vision2.runs.records import RunRecord


def test_nan_and_numpy_values_become_strict_json(tmp_path):
    record = RunRecord(tmp_path)
    record.write_summary({"loss": float("nan"), "n": np.int64(3), "m": np.array([1.5, np.inf]), "where": tmp_path})
    text = (tmp_path / "summary.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "loss": None,
        "n": 3,
        "m": [1.5, None],
        "where": str(tmp_path),
    }


def test_the_configuration_is_read_back_as_written(tmp_path):
    config = {
        "model": {"name": "resnet20", "stem": None},
        "seed": 0,
        "claim": "más",
        "rules": [{"match": "*", "lr_scale": 0.1}],
    }
    record = RunRecord(tmp_path)
    record.write_config(config)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == config


def test_a_line_cut_off_by_a_kill_is_left_out_of_the_history(tmp_path):
    record = RunRecord(tmp_path)
    record.log_epoch({"epoch": 1, "train_loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 2, "tra')
    assert record.history() == [{"epoch": 1, "train_loss": 0.5}]


def test_resuming_drops_the_epochs_after_the_checkpoint(tmp_path):
    record = RunRecord(tmp_path)
    for epoch in (1, 2, 3):
        record.log_epoch({"epoch": epoch, "run": "first"})
    record.resume_after(1)
    record.log_epoch({"epoch": 2, "run": "second"})
    assert record.history() == [{"epoch": 1, "run": "first"}, {"epoch": 2, "run": "second"}]
    record.resume_after(0)
    assert record.history() == []


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\nnonsense\n{"epoch": 3}\n')
    with pytest.raises(ValueError, match="line 2"):
        RunRecord(tmp_path).history()


def test_environment_names_versions_and_the_exact_command(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "model=resnet20", "dataset.root=/a folder"])
    found = environment.environment()
    assert found["command"] == "python -m vision2.train model=resnet20 'dataset.root=/a folder'"
    assert found["versions"]["numpy"] == np.__version__
    assert found["processor"] and found["platform"] and found["cpus"] >= 1


def test_git_state_is_none_outside_git_and_says_dirty_inside(tmp_path):
    assert environment.git_state(str(tmp_path)) is None
    inside = tmp_path / "tree"
    inside.mkdir()
    git = ["git", "-C", str(inside), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (inside / "file").write_text("a")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "a"], check=True)
    state = environment.git_state(str(inside))
    assert len(state["commit"]) == 40 and state["dirty"] is False
    (inside / "file").write_text("b")
    environment.git_state.cache_clear()
    assert environment.git_state(str(inside))["dirty"] is True
