"""The client on the virtual ESP8266 behind a slow network and one that loses frames: time-outs, Nagle's algorithm.

What goes over the network is recorded and counted; nothing is timed. The server's side acknowledges at once, so a wait
for an acknowledgement, which a server of the world may delay by 40 to 200 ms, shows as a segment that goes out only
after one has come in.
"""

import struct

import pytest

from common import echo_server
from common.virtual_esp8266_client import prepare, running
from servers.raw import RawServer
from servers.steps import Listen, Reply

SEGMENT = 1460
_PCAP_HEADER = 24
_PACKET_HEADER = 16
_TCP = 6
_HTTP_OK = b"HTTP/1.1 101"

# Name -> (round trip in ms, of 1000 frames each way so many are lost)
NETWORKS = {"10-ms": (10, 0), "150-ms": (150, 0), "150-ms-lossy": (150, 30)}
# Size of a message's payload -> how often its frame may wait
WAITS = {1: 0, 128: 0, 129: 0, 1000: 0, 1452: 0, 1453: 1, 2000: 1, 2900: 1, 4000: 1}
ROUNDS = 3  # each size, and the least counts: what comes in while a busy computer stops the chip looks like a wait

CLIENT = """
import uwebsocket_client as websocket
told = []
ws = websocket.createClient()
ws.on("connection", lambda ws: told.append("connection"))
ws.on("receive", lambda ws, message, opcode: told.append(len(message)))
ws.on("close", lambda ws, status: told.append(status))
def until(what):
    while what not in told:
        if not ws.poll(1000) and what not in told:
            raise RuntimeError(told)
"""


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    flash = tmp_path_factory.mktemp("chip") / "flash"
    prepare("romfs", flash)
    return flash


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module")
def raw():
    with RawServer({"silent": (Reply(), Listen(20000)), "mute": (Listen(20000),)}) as server:
        yield server


@pytest.fixture(params=[pytest.param(name, id=f"virtual-esp8266-{name}") for name in NETWORKS])
def session(request, flash):
    delay_ms, loss = NETWORKS[request.param]
    with running("romfs", flash, delay_ms=delay_ms, loss=loss) as session:
        session.fresh()
        session.exec(CLIENT)
        yield session


def test_echoes_over_a_bad_network_all_come_back(session, url):
    session.exec(f"ws.connect({url!r})\nuntil('connection')")
    for size in (1, 1000, 4000):
        session.exec(f"for i in range(3):\n ws.send(bytes({size}))\n until({size})\n told.remove({size})")
    assert session.exec("ws.close()\nuntil(0)\nprint(told)") == "['connection', 0]\n"


@pytest.mark.parametrize(
    ("scenario", "config", "after", "status"),
    [
        pytest.param("mute", "connect_timeout_ms", "pass", -18, id="connecting"),
        pytest.param("silent", "ping_interval_ms", "until('connection')", -19, id="silence"),
        pytest.param("silent", "close_timeout_ms", "until('connection')\nws.close()", 0, id="closing"),
    ],
)
def test_timeout_over_a_bad_network_tells_its_status(session, raw, scenario, config, after, status):
    session.exec(f"ws.config({{{config!r}: 1500}})\nws.connect({raw.url(scenario)!r})\n{after}\nuntil({status})")
    assert session.exec("print(told[-1], ws.poll())") == f"{status} False\n"


def segments(pcap, port):
    """Return the TCP segments between the chip and the host's `port`: ("out" or "in", sequence number, data)."""
    data = pcap.read_bytes()
    found = []
    at = _PCAP_HEADER
    while at + _PACKET_HEADER <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        packet = data[at + _PACKET_HEADER : at + _PACKET_HEADER + size]
        at += _PACKET_HEADER + size
        if packet[12:14] != b"\x08\x00" or packet[23] != _TCP:
            continue
        tcp = 14 + 4 * (packet[14] & 15)
        end = 14 + struct.unpack_from(">H", packet, 16)[0]
        source, target, sequence = struct.unpack_from(">HHI", packet, tcp)
        content = packet[tcp + 4 * (packet[tcp + 12] >> 4) : end]
        if port in (source, target):
            found.append(("out" if target == port else "in", sequence, content))
    return found


def frames_on_the_wire(found, sizes):
    """Return for each frame of `sizes` bytes, in the order of sending, how often it waited for what came in."""
    begin = next(index for index, (_, _, data) in enumerate(found) if data.startswith(_HTTP_OK))
    steps = found[begin + 1 :]
    waits = []
    sent = None
    for size in sizes:
        left, waited, heard = size, 0, False
        while left > 0:
            direction, sequence, data = steps.pop(0)
            if direction == "in":
                heard = left < size  # within the frame
            elif data and (sent is None or (sequence + len(data) - sent) & 0xFFFFFFFF < 1 << 31):
                if sent is not None and sequence + len(data) == sent:
                    continue  # once more
                sent = sequence + len(data)
                waited += heard
                heard = False
                left -= len(data)
        waits.append(waited)
    return waits


def wire_size(size):
    """Return the bytes of a client's frame with a payload of `size` bytes (RFC 6455 5.2)."""
    return size + (6 if size < 126 else 8)


@pytest.mark.parametrize("delay_ms", [10, 150], ids=["virtual-esp8266-10-ms", "virtual-esp8266-150-ms"])
def test_frame_of_a_segment_never_waits_and_a_larger_one_at_most_once(flash, url, tmp_path, delay_ms):
    pcap = tmp_path / "pcap"
    with running("romfs", flash, delay_ms=delay_ms, pcap=pcap) as session:
        session.fresh()
        session.exec(f"{CLIENT}ws.connect({url!r})\nuntil('connection')")
        for size in [*WAITS] * ROUNDS:
            session.exec(f"ws.send(bytes({size}))\nuntil({size})\ntold.remove({size})")
        session.exec("ws.close()\nuntil(0)")
    port = int(url.rstrip("/").rpartition(":")[2])
    waits = frames_on_the_wire(segments(pcap, port), [wire_size(size) for size in WAITS] * ROUNDS)
    least = [min(waits[place :: len(WAITS)]) for place in range(len(WAITS))]
    assert wire_size(1452) == SEGMENT
    assert [size for size, most, waited in zip(WAITS, WAITS.values(), least, strict=True) if waited > most] == []
    assert any(waits), "a frame of several segments waits, or the recording says nothing"
