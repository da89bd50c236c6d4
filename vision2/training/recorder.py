"""What a fit writes during training: epochs to metrics.jsonl and TensorBoard, checkpoints to the run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vision2.basics.run_files import BEST, LAST
from vision2.runs.records import RunRecord
from vision2.runs.tensorboard import TensorBoardTracker
from vision2.training.checkpoint import load_checkpoint, save_checkpoint
from vision2.training.fit import Progress
from vision2.training.progress import ProgressBars


@dataclass(frozen=True)
class Recorder:
    """Writes the files of a run in progress. `shared` is what every checkpoint contains besides the trained state."""

    record: RunRecord
    tracker: TensorBoardTracker
    bars: ProgressBars
    shared: dict
    prepared_seconds: float = 0.0  # spent before training started: decoding, features

    def epoch(self, entry: dict, gradient_norms: dict[str, list[float]]) -> None:
        self.record.log_epoch(entry)
        self.tracker.log_epoch(entry, gradient_norms)

    def save(self, progress: Progress, *, best: dict | None, last: dict) -> None:
        """Write `best.pt` first, so that a run killed between the two repeats the epoch and writes the same best.pt again."""
        shared = self.shared | {"state": asdict(progress)}
        if best is not None:
            save_checkpoint(self.record.run_dir / BEST, shared | best)
        save_checkpoint(self.record.run_dir / LAST, shared | last)

    def resume_after(self, epoch: int) -> None:
        """Drop what was recorded after `epoch`."""
        self.record.resume_after(epoch)

    def history(self) -> list[dict]:
        """The epochs recorded so far."""
        return self.record.history()

    def best(self) -> dict:
        """The best checkpoint so far."""
        return load_checkpoint(self.record.run_dir / BEST)


@dataclass(frozen=True)
class SilentRecorder:
    """The recorder of all processes of a run but the first: it writes nothing."""

    run_dir: Path
    bars: ProgressBars
    prepared_seconds: float = 0.0

    def epoch(self, entry: dict, gradient_norms: dict[str, list[float]]) -> None:
        pass

    def save(self, progress: Progress, *, best: dict | None, last: dict) -> None:
        pass

    def resume_after(self, epoch: int) -> None:
        pass

    def history(self) -> list[dict]:
        return []

    def best(self) -> dict:
        """The best checkpoint, which the first process has written."""
        return load_checkpoint(self.run_dir / BEST)
