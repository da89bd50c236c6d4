"""A built wheel contains the configuration and works from any directory."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The content of the wheel in a separate folder, laid out as by pip."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_contains_every_file_of_the_configuration(installed):
    def tree(folder):
        return {str(file.relative_to(folder)) for file in folder.rglob("*.yaml")}

    assert tree(installed / "vision2" / "conf") == tree(ROOT / "conf")


def test_the_installed_program_composes_from_another_directory(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    code = (
        "import sys, vision2; assert sys.argv[1] in vision2.__file__; from vision2.train import main;"
        "sys.argv[1:] = ['--cfg', 'job']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(installed)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "name: digits" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_console_command_is_the_module(installed):
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "vision2 = vision2.__main__:main" in entry_points.read_text()


def test_the_constraints_have_hashes_for_every_package_and_no_address():
    text = (ROOT / "constraints.txt").read_text()
    packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line and line.endswith("\\") for line in packages)
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(packages)
