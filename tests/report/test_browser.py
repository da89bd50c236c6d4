"""The report and TensorBoard in a real browser, if one is installed: no console errors on wide and narrow screens."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import configuration, make_run
from PIL import Image

from vision2.report.build import write_report
from vision2.runs.tensorboard import TensorBoardTracker

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")


def photograph(address: str, picture: Path, width: int, *flags: str) -> tuple[np.ndarray, str]:
    """The pixels (H, W, 3) of a page in a window of that width, and the browser's log."""
    words = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *flags]
    words += [
        f"--user-data-dir={picture.parent}/user",
        f"--window-size={width},2000",
        f"--screenshot={picture}",
        address,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert picture.exists(), done.stderr[-500:]
    return np.asarray(Image.open(picture).convert("RGB")), done.stderr


def coloured(pixels: np.ndarray) -> float:
    """Share of pixels that are not grey."""
    return float((pixels.max(2).astype(int) - pixels.min(2) > 60).mean())


def test_the_page_opens_without_console_errors_on_a_desktop_and_on_a_phone(tmp_path):
    for model in ("plain20", "resnet20"):
        make_run(tmp_path / "runs", model, configuration(**{"model.name": model}))
    page = write_report(tmp_path / "runs").page
    for width in (1280, 390):
        pixels, log = photograph(page.as_uri(), tmp_path / f"{width}.png", width)
        assert "CONSOLE" not in log
        assert pixels.shape[1] == width
        assert coloured(pixels) > 0.002, "no coloured line of a figure is visible"


@pytest.fixture
def tensorboard(tmp_path):
    """The address of a TensorBoard server for two runs of two epochs, each with a red picture."""
    for run in ("a", "b"):
        with TensorBoardTracker(tmp_path / "runs" / run) as tracker:
            for epoch in (1, 2):
                losses = {"epoch": epoch, "train_loss": 1.0 / epoch, "val_loss": 1.5 / epoch}
                tracker.log_epoch(losses, {"stem": [0.1, 0.2], "head": [1.0, 2.0]})
            tracker.log_picture("pictures/red", np.full((64, 64, 3), (255, 0, 0), dtype=np.uint8))
    words = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(tmp_path / "runs"),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        yield next(found[0] for line in server.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("page", ["custom_scalars", "images", "histograms"])
def test_tensorboard_shows_the_runs_without_console_errors(tensorboard, tmp_path, page):
    patient = "--virtual-time-budget=20000"  # ms of the page's own clock, for its scripts to fetch and draw
    pixels, log = photograph(f"{tensorboard}/#{page}", tmp_path / f"{page}.png", 1280, patient)
    assert "ERROR:CONSOLE" not in log and "Uncaught" not in log
    below_the_bar = pixels[160:, 300:]
    red = (below_the_bar[..., 0] > 230) & (below_the_bar[..., 1:].max(2) < 30)
    assert coloured(below_the_bar) > 0.0003
    assert (red.mean() > 0.005) == (page == "images")
