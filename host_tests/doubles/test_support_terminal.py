"""The person at a terminal: host_tests/support/terminal.py."""

import os
import threading
import tty

import pytest

from support.terminal import Terminal


@pytest.mark.parametrize("shown", [b"event\r\n>>> ", b">>> event\r\n"], ids=["before the prompt", "after the prompt"])
def test_event_that_comes_near_the_prompt_is_there_for_the_next_wait(shown):
    ours, theirs = os.openpty()
    board = threading.Thread(target=lambda: os.write(ours, os.read(ours, 100) + b"\n" + shown))
    with Terminal(theirs) as terminal:
        tty.setraw(theirs)
        board.start()
        terminal.line("ws.connect(url)")
        assert terminal.wait("event\r\n", 5).endswith("event\r\n")
    board.join()
    os.close(ours)
