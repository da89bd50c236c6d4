from __future__ import annotations

import os
import signal
import time
import weakref

import pytest

from vision2.basics.signals import Stopped, stopping_on_signals


class Thing:
    pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_in_the_block_and_the_handlers_are_restored(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stopping_on_signals():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert stop.value.number == number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("more_work", [True, False])
def test_a_signal_that_python_ignores_in_a_callback_still_stops_the_block(more_work, capsys):
    thing = Thing()

    def callback(_):
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = weakref.ref(thing, callback)
    with pytest.raises(Stopped), stopping_on_signals():
        del thing
        if more_work:
            time.sleep(5)
    assert watcher() is None
    assert "ignored" not in capsys.readouterr().err
