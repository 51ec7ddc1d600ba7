"""The client over loopback on every interpreter, one program of upy/ for each topic."""

import hashlib
import json
import signal
import subprocess

import pytest

from common import echo_server, rigs
from servers.raw import RawServer
from servers.steps import Listen, Reply
from support.programs import CHIP, MICROPYTHONS, told

on_all = pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
on_micropython = pytest.mark.parametrize("interpreter", MICROPYTHONS)
on_all_and_chip = pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
on_micropython_and_chip = pytest.mark.parametrize("interpreter", [*MICROPYTHONS, CHIP])

ROUNDS = 300
CHIP_ROUNDS = 120
MIB = 1 << 20
GROWTH = 64  # of the heap: what a dictionary or a pool may still have to grow by


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module")
def raw():
    with RawServer({"silent": (Reply(), Listen(3000))}) as server:
        yield server


@on_all_and_chip
def test_example_plays_as_it_is_written(url, interpreter):
    found = told(interpreter, "example_program.py", url)
    events = ["connection", ["str", "hello!", 1], ["bytearray", [0, 255], 2], 0]
    if interpreter == CHIP:  # connect() waits for TCP there, and the background is faster than the program
        assert [event for event in found["events"] if not isinstance(event, bool)] == events
    else:
        assert found["events"] == [False, *events]
    assert found["attributes"] == [False, 1000, "", None, None, None]


# Case of context_program -> (statuses, what left the block)
CONTEXTS = {
    "closed": ([0], None), "open": ([0], None), "within-a-message": ([0], None), "error": ([0], "ValueError"),
    "interrupt": ([0], "KeyboardInterrupt"), "unanswered": ([0], None), "not-connected": ([], None),
    "bad-url": ([-4], None),
}  # fmt: skip


@on_all_and_chip
@pytest.mark.parametrize("case", CONTEXTS)
def test_with_block_ends_closed_in_time(url, raw, interpreter, case):
    statuses, raised = CONTEXTS[case]
    found = told(interpreter, "context_program.py", url, raw.url("silent"))[case]
    assert found == [statuses, raised, True, False, False]


@on_micropython_and_chip
@pytest.mark.parametrize("case", ["fresh", "waiting", "after-a-message", "within-a-message", "after-pieces"])
def test_idle_poll_allocates_nothing(url, interpreter, case):
    assert told(interpreter, "idle_program.py", url)[case] == [True, 0]


@on_micropython_and_chip
def test_poll_of_a_closed_client_allocates_nothing(url, interpreter):
    assert told(interpreter, "idle_program.py", url)["closed"] == [0]


@on_all_and_chip
def test_rounds_of_every_kind_leave_nothing_behind(url, raw, interpreter):
    refusing = f"ws://127.0.0.1:{raw.closed_port}/"
    rounds = CHIP_ROUNDS if interpreter == CHIP else ROUNDS
    found = told(interpreter, "rounds_program.py", url, f"{url}close?code=4000", refusing, str(rounds))
    heap, descriptors = found["growth"]
    assert descriptors == 0
    assert heap <= GROWTH


# The heaps hold this program's source too: how little the client itself needs is what tools/size.py finds out.
@pytest.mark.parametrize(
    ("interpreter", "heap"), [("micropython32", "27k"), ("micropython64", "44k"), ("cpython", None), (CHIP, None)]
)
def test_mebibyte_streams_through_a_small_heap(url, compiled, interpreter, heap):
    urls = f"{url}hello?size={MIB}", f"{url}count"
    before = None if interpreter in ("cpython", CHIP) else compiled
    found = told(interpreter, "stream_program.py", *urls, str(MIB), heap=heap, before=before)
    digest = hashlib.sha256(b"0123456789abcdef" * (MIB // 16)).hexdigest()
    assert found["received"] == [MIB, 1, True, digest]
    assert found["sent"] == [True, 2]


@on_all_and_chip
@pytest.mark.usefixtures("ctrl_c_reaches_children")
def test_interrupt_of_a_waiting_poll_harms_nothing(url, interpreter):
    program = str(rigs.ROOT / "host_tests" / "upy" / "interrupt_program.py")
    with subprocess.Popen([*rigs.command(interpreter), program, url], env=rigs.device_env(interpreter),
                          stdout=subprocess.PIPE, text=True) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            printed, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert json.loads(printed)["told"] == ["interrupted", "still there?", 0]
