"""TensorBoard opened at a sweep's folder shows exactly its runs, under readable names."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_runs import configuration, make_run, write_json_lines
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from vision2.runs.read import read_runs
from vision2.runs.sweep_curves import link_curves, link_started
from vision2.runs.tensorboard import TensorBoardTracker


@pytest.fixture
def sweep(tmp_path):
    """Two models, two seeds, and a run that belongs to no sweep; returns the sweep's folder."""
    jobs = []
    for name, model, seed in [("a", "plain20", 0), ("b", "plain20", 1), ("c", "resnet20", 0), ("d", "resnet20", 1)]:
        run = make_run(tmp_path / "digits" / "x", name, configuration(**{"model.name": model, "seed": seed}))
        jobs.append({"command": "", "status": "completed", "error": None, "run": str(run)})
    make_run(tmp_path / "digits" / "x", "other", configuration(**{"model.name": "vgg16"}))
    for run in (tmp_path / "digits" / "x").iterdir():
        with TensorBoardTracker(run) as tracker:
            tracker.log_epoch({"epoch": 1, "train_loss": 1.0, "val_loss": 2.0})
    folder = tmp_path / "sweeps" / "s"
    folder.mkdir(parents=True)
    write_json_lines(folder / "jobs.jsonl", jobs)
    return folder


def shown(folder: Path) -> dict:
    """Runs and their scalars as TensorBoard finds them below a folder."""
    found = EventMultiplexer().AddRunsFromDirectory(str(folder))
    found.Reload()
    return {name: tags["scalars"] for name, tags in found.Runs().items()}


NAMES = ["plain20-scratch-seed0", "plain20-scratch-seed1", "resnet20-scratch-seed0", "resnet20-scratch-seed1"]


@pytest.mark.parametrize("links", [True, False])
def test_a_sweeps_folder_shows_exactly_its_runs_by_model_strategy_and_seed(sweep, links, monkeypatch):
    if not links:

        def refuse(*_, **__):
            raise OSError("a required privilege is not held by the client")

        monkeypatch.setattr(Path, "symlink_to", refuse)
    for _ in range(2):  # making the report again replaces them
        assert sorted(link_curves(sweep, read_runs(sweep)[0])) == NAMES
    found = shown(sweep)
    assert sorted(found) == NAMES
    assert all({"loss/train", "loss/val"} <= set(tags) for tags in found.values())


def test_a_run_is_shown_from_its_start_and_has_its_final_name_when_the_sweep_ends(sweep):
    runs, _ = read_runs(sweep)
    link_started(sweep, "01-plain20-scratch-seed0", runs[0].path)
    assert sorted(shown(sweep)) == ["01-plain20-scratch-seed0"]
    link_curves(sweep, runs)
    assert sorted(shown(sweep)) == NAMES


def test_a_name_that_is_taken_is_left_alone(sweep, tmp_path):
    other = tmp_path / "digits" / "x" / "other"
    (sweep / NAMES[0]).symlink_to(other, target_is_directory=True)
    before = sorted(other.iterdir())
    link_curves(sweep, read_runs(sweep)[0])
    assert sorted(other.iterdir()) == before


def test_the_links_survive_a_move_and_make_no_run_count_twice(sweep, tmp_path):
    link_curves(sweep, read_runs(sweep)[0])
    assert len(read_runs(tmp_path)[0]) == 5
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    assert sorted(shown(moved / "sweeps" / "s")) == NAMES
    moved.rename(tmp_path)


def test_other_differing_settings_are_in_the_name(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    for number, source in enumerate(("/a/digits/resnet20-scratch/2025-0", "/a/digits/resnet20-scratch/2025-1")):
        run = make_run(tmp_path, f"r{number}", configuration(**{"strategy.source": source, "strategy.lr": 0.1}))
        with TensorBoardTracker(run) as tracker:
            tracker.log_epoch({"epoch": 1, "train_loss": 1.0})
    names = link_curves(folder, read_runs(tmp_path)[0])
    assert len(set(names)) == 2 and all("/" not in name and name.endswith("-seed0") for name in names)
    assert all("source=" in name and "2025-" in name for name in names)
