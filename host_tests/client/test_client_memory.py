"""Heap that a connection needs only for a moment and must give back, on real MicroPython and on the virtual ESP8266."""

import pytest

from common import echo_server
from servers.raw import RawServer
from servers.steps import Echo, Reply
from support.programs import CHIP, told

HEAPS = {"micropython32": "30k", "micropython64": "60k", CHIP: None}
HEADERS = 16000  # bytes of header lines: more than such a heap has beside the client, were they kept
NOISE = 200  # of the heap: far less than a scratch buffer for large messages
CONNECTION = 2500


@pytest.fixture(scope="module")
def found(compiled):
    """Return what each MicroPython told, {interpreter: Told}."""
    lines = b"X-Cookie: " + b"c" * (HEADERS - 12) + b"\r\n"
    with echo_server.running() as url, RawServer({"headers": (Reply(lines=lines), Echo())}) as raw:
        yield {
            name: told(name, "kept_memory_program.py", url, raw.url("headers"), heap=heap, before=compiled)
            for name, heap in HEAPS.items()
        }


@pytest.mark.parametrize("interpreter", HEAPS)
@pytest.mark.parametrize("case", ["after-a-large-send", "between-fragments"])
def test_scratch_buffer_of_a_large_send_is_given_back(found, interpreter, case):
    assert found[interpreter][case] < NOISE


@pytest.mark.parametrize("interpreter", HEAPS)
def test_header_lines_that_do_not_matter_are_not_kept(found, interpreter):
    connected, http_status, error, kept = found[interpreter]["headers"]
    assert (connected, http_status, error) == (True, None, None)
    assert kept < CONNECTION
    assert found[interpreter]["statuses"] == [0, 0]
