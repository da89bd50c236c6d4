"""`vision2 COMMAND`: one table of commands, the same result as `python -m vision2.COMMAND`, completion in a shell."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vision2.commands import COMMANDS, overview
from vision2.completion import completions
from vision2.completion import main as completion

ROOT = Path(__file__).resolve().parent.parent


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True)


def runs_as_a_command(file: Path) -> bool:
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in ast.parse(file.read_text()).body)


def test_every_module_that_is_a_command_is_in_the_table_and_every_line_is_a_module():
    package = ROOT / "vision2"
    files = [*package.glob("*.py"), *package.glob("*/__main__.py")]
    modules = {file.parent.name if file.parent != package else file.stem for file in files if runs_as_a_command(file)}
    assert modules - {"__main__"} == set(COMMANDS)


def test_every_command_is_in_the_readme():
    section = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(COMMANDS)


def test_without_a_command_all_are_listed_by_purpose(tmp_path):
    done = typed(tmp_path, "vision2")
    assert (done.returncode, done.stdout) == (0, overview() + "\n")
    assert all(re.search(rf"^  {name} +\S", done.stdout, re.MULTILINE) for name in COMMANDS)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_misspelled_command_is_one_line_with_the_closest_one(tmp_path):
    done = typed(tmp_path, "vision2", "trian")
    assert (done.returncode, done.stderr) == (2, "error: unknown command 'trian', did you mean 'train'?\n")


@pytest.mark.parametrize("words", [["train", "--cfg", "job", "seed=3"], ["train", "seed=x"], ["report"]])
def test_a_sub_command_is_exactly_the_module(words, tmp_path):
    module, command = typed(tmp_path, f"vision2.{words[0]}", *words[1:]), typed(tmp_path, "vision2", *words)
    assert (command.returncode, command.stdout, command.stderr) == (module.returncode, module.stdout, module.stderr)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("vision2 tr", ["train "]),
        ("vision2 train model=resnet10", ["model=resnet101"]),
        ("vision2 train -m model=plain20,resnet20_", ["model=plain20,resnet20_b"]),
        ("vision2 train dataset.split_by=", ["dataset.split_by=image", "dataset.split_by=class"]),
        ("vision2 train weights.pa", ["weights.path="]),
        ("vision2 train weights.path=fi", []),
        ("vision2 predict gradcam=t", ["gradcam=true"]),
        ("vision2 cost train", []),
        ("vision2 nonsense x", []),
    ],
)
def test_tab_completes_commands_groups_options_and_settings(line, found):
    assert completions(line) == found


def test_a_key_is_offered_once():
    assert "seed=" in completions("vision2 train ")
    assert "seed=" not in completions("vision2 train seed=1 ")


def test_completing_imports_no_large_library(tmp_path):
    code = (
        "import sys; from vision2.completion import completions; from vision2.commands import COMMANDS;"
        "assert all(completions(f'vision2 {name} ') for name in COMMANDS);"
        "print([name for name in ('torch', 'sklearn', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_there_is_a_script_for_each_shell(capsys):
    for shell in ("bash", "zsh", "fish"):
        assert completion([shell]) == 0
        assert "vision2 completion words" in capsys.readouterr().out
    assert completion(["bsh"]) == 2
    assert "did you mean 'bash'?" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_replaces_only_what_follows_the_equals_sign(tmp_path, capsys):
    completion(["bash"])
    program = tmp_path / "vision2"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vision2 "$@"\n')
    program.chmod(0o755)
    line = "vision2 train model=resnet20_"
    call = f'COMP_LINE="{line}"; COMP_POINT={len(line)}; _vision2; echo "${{COMPREPLY[@]}}"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    script = f"COMP_WORDBREAKS='='\n{capsys.readouterr().out}\n{call}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "resnet20_b", done.stderr
