"""What all tests share: those of a missing rig are left out at home, never in CI; Ctrl-C reaches what they start."""

import gc
import os
import signal

import pytest

from common import compiler, rigs
from torturers import Torturer

# The fixtures that users have for their own programs: docs/testing.md
pytest_plugins = ["uwebsocket_host.plugin"]


def pytest_addoption(parser):
    """Add what the torturers are told."""
    group = parser.getgroup("torture")
    group.addoption("--torture", metavar="CASE", help="replay one run of a torturer, as a failure names it")
    group.addoption("--torture-all", action="store_true", help="draw no samples: hours on one core")
    group.addoption("--torture-seed", type=int, default=0, metavar="N", help="draw other samples (default: 0)")


def pytest_configure(config):
    """Make the torturer that counts all runs of this session."""
    option = config.getoption
    config.torturer = Torturer(option("--torture-seed"), option("--torture"), option("--torture-all"))


@pytest.fixture
def torturer(request):
    """Return what plays the runs of the torturers, and counts them."""
    return request.config.torturer


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add what the torturers of another process have played."""
    node.config.torturer.runs.update(getattr(node, "workeroutput", {}).get("torture", {}))


def pytest_sessionfinish(session):
    """Tell the process that has started this one how many runs the torturers have played."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["torture"] = dict(session.config.torturer.runs)


def pytest_terminal_summary(terminalreporter, config):
    """Tell how many runs the torturers have played."""
    for name, runs in sorted(config.torturer.runs.items()):
        terminalreporter.write_line(f"torture: {runs} runs of {name}, seed {config.torturer.seed}")


def pytest_collection_modifyitems(config, items):
    """Deselect the tests of rigs that are not here; `make test` ends by naming those (tools/rigs.py)."""
    missing = () if os.environ.get("CI") == "true" else tuple(rigs.missing())
    gone = [item for item in items if any(name in item.nodeid for name in missing)]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in set(gone)]


def pytest_collection_finish():
    """Spare the garbage collector what stays to the end: with all tests a round takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """The folder of the compiled client."""
    folder = tmp_path_factory.mktemp("mpy")
    compiler.build_folder(compiler.sources(), folder)
    return str(folder)


@pytest.fixture
def ctrl_c_reaches_children():
    """Have processes started from here take SIGINT as at a terminal: behind `nohup` and `&` they would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
