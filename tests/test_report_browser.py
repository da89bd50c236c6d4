"""The report in a real browser, where one is installed: it opens without a console error, wide and narrow."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from made_up_runs import configuration, make_run
from PIL import Image

from vision2.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_page_opens_without_a_console_error_on_a_desk_and_on_a_phone(tmp_path):
    for model in ("plain20", "resnet20"):
        make_run(tmp_path / "runs", model, configuration(**{"model.name": model}))
    page = write_report(tmp_path / "runs").page
    for width in (1280, 390):
        picture = tmp_path / f"{width}.png"
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path}/user",
        ]
        words = [BROWSER, *flags, f"--window-size={width},2000", f"--screenshot={picture}", page.as_uri()]
        done = subprocess.run(words, capture_output=True, text=True, timeout=100)
        assert picture.exists(), done.stderr[-500:]
        assert "CONSOLE" not in done.stderr
        pixels = np.asarray(Image.open(picture).convert("RGB"))
        assert pixels.shape[1] == width
        colours = pixels.max(2).astype(int) - pixels.min(2)
        assert (colours > 60).mean() > 0.002, "no coloured line of a figure is to be seen"
