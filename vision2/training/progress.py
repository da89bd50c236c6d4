"""Progress bars in a terminal, and one line of text per epoch."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm


class ProgressBars:
    """A bar for the epochs and one for the images of a pass, both hidden when stderr is not a terminal."""

    def __init__(self, epochs: int, done: int = 0):
        self.bars = sys.stderr.isatty()
        self.epochs = epochs
        self._epoch_bar = tqdm(total=epochs, initial=done, desc="epochs", unit="epoch", disable=not self.bars)
        self._batch_bar: tqdm | None = None

    def start(self, images: int, what: str) -> None:
        """Start the bar of one pass over `images` images."""
        self.finish_pass()
        self._batch_bar = tqdm(total=images, desc=what, unit="img", leave=False, disable=not self.bars)
        self._started = time.perf_counter()

    def advance(self, images: int, **figures: float) -> None:
        if self.bars and self._batch_bar is not None:
            self._batch_bar.update(images)
            if figures:
                self._batch_bar.set_postfix({name: f"{value:.3f}" for name, value in figures.items()}, refresh=False)

    def wants_figures(self) -> bool:
        """Whether figures would be displayed; reading them from a GPU makes it wait."""
        return self.bars

    def finish_pass(self) -> None:
        if self._batch_bar is not None:
            self._batch_bar.close()
            self._batch_bar = None

    def finish_epoch(self, record: dict) -> None:
        self.finish_pass()
        self._epoch_bar.update(1)
        line = (
            f"epoch {record['epoch']}/{self.epochs}  train loss {record['train_loss']:.4f}"
            f" accuracy {'-' if record['train_accuracy'] is None else format(record['train_accuracy'], '.4f')}"
        )
        if record.get("val_accuracy") is not None:
            line += f"  val loss {record['val_loss']:.4f} accuracy {record['val_accuracy']:.4f}"
        on_features = record.get("features_per_second")
        rate = f"{record['images_per_second']:.0f} img/s" if on_features is None else f"{on_features:.0f} features/s"
        line += f"  lr {record['lr']:.2g}  {rate}  wait {record['data_wait_share']:.1%}"
        self.say(line)

    def say(self, line: str) -> None:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        self.finish_pass()
        self._epoch_bar.close()
