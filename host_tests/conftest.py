"""What all tests share: those of a missing rig are left out at home, never in CI; Ctrl-C reaches what they start."""

import os
import signal

import pytest

from common import rigs


def pytest_collection_modifyitems(config, items):
    """Deselect the tests of rigs that are not here; `make test` ends by naming those (tools/rigs.py)."""
    missing = () if os.environ.get("CI") == "true" else tuple(rigs.missing())
    gone = [item for item in items if any(name in item.nodeid for name in missing)]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in set(gone)]


@pytest.fixture
def ctrl_c_reaches_children():
    """Have processes started from here take SIGINT as at a terminal: behind `nohup` and `&` they would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
