"""The progress of a run, and when early stopping ends it."""

from __future__ import annotations

from vision2.training.fit import Progress


def entry(epoch, accuracy, loss=1.0):
    return {"epoch": epoch, "seconds": 1.0, "train_images": 10, "val_accuracy": accuracy, "val_loss": loss}


def after(*accuracies):
    progress = Progress()
    for epoch, accuracy in enumerate(accuracies, start=1):
        progress = progress.after(entry(epoch, accuracy))
    return progress


def test_the_best_epoch_has_the_highest_accuracy_and_if_tied_the_lowest_loss():
    assert after(0.5, 0.7, 0.6).best_epoch == 2
    assert Progress().after(entry(1, 0.5, 2.0)).after(entry(2, 0.5, 1.0)).best_epoch == 2


def test_patience_counts_epochs_without_improvement():
    assert not after(0.5, 0.7, 0.6).finished(10, patience=2)
    assert after(0.5, 0.7, 0.6, 0.6).finished(10, patience=2)
    assert not after(0.5, 0.7, 0.6, 0.6).finished(10, patience=None)
    assert after(0.5).finished(1, patience=None)


def test_patience_is_counted_from_the_start_of_the_last_phase():
    stalled = after(0.7, 0.6, 0.6, 0.6)
    assert stalled.finished(20, patience=2)
    assert not stalled.finished(20, patience=2, last_phase=4)  # only one epoch of that phase so far
    assert after(0.7, 0.6, 0.6, 0.6, 0.6).finished(20, patience=2, last_phase=4)
