"""tools/compare.py and its probe server: verdicts on clients that are right and wrong, tables, charts; no figures."""

import socket
import xml.etree.ElementTree

import pytest

import compare
from common import measured, probe_server, rigs
from fakes.probed_client import BadClient, GoodClient
from servers import wire

PROBES = compare.probes()
OTHERS = [client for client in compare.CLIENTS if not client.ours]

each_probe = pytest.mark.parametrize("probe", PROBES, ids=[probe.title for probe in PROBES])


@each_probe
def test_probe_of_client_that_does_it_right_passes(monkeypatch, probe):
    monkeypatch.setattr(probe_server, "PATIENCE_S", 4)
    found = probe_server.examine(probe, GoodClient(probe).start)
    assert found.passed, found.what


@each_probe
def test_probe_of_client_that_does_it_wrong_fails(monkeypatch, probe):
    monkeypatch.setattr(probe_server, "PATIENCE_S", 0.5)
    monkeypatch.setattr(probe_server, "_REACTION_S", 0.5)
    found = probe_server.examine(probe, BadClient(probe).start)
    assert not found.passed, found.what


def test_probe_of_program_that_does_not_connect_tells_what_it_said(monkeypatch):
    monkeypatch.setattr(probe_server, "_REACTION_S", 0.1)
    found = probe_server.examine(PROBES[0], lambda port: lambda: "ImportError: no module")
    assert found == probe_server.Finding(False, "does not connect: ImportError: no module")


def test_titles_of_probes_are_unique():
    assert len({probe.title for probe in PROBES}) == len(PROBES)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"\x81\x03abc"),
        ({"fin": False}, b"\x01\x03abc"),
        ({"rsv": 4}, b"\xc1\x03abc"),
        ({"form": 2}, b"\x81\x7e\0\x03abc"),
        ({"form": 8}, b"\x81\x7f\0\0\0\0\0\0\0\x03abc"),
        ({"announced": 1 << 16}, b"\x81\x7f\0\0\0\0\0\x01\0\0abc"),
        ({"key": b"\x01\x02\x03\x04"}, b"\x81\x83\x01\x02\x03\x04" + bytes((0x60, 0x60, 0x60))),
    ],
    ids=["right", "unfinished", "reserved bit", "2 bytes", "8 bytes", "announced", "masked"],
)
def test_frame_of_probe_server_has_the_bytes_that_are_asked_for(options, expected):
    assert probe_server.frame(probe_server.TEXT, b"abc", **options) == expected


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([b"x" * 40], b"\x82\x28" + b"x" * 40),
        ([b"in 3 40"], (b"\x82\x28" + b"x" * 40) * 3),
        ([b"out 2", b"y" * 40, b"y" * 40], b"\x82\x02ok\x82\x012"),
        ([b"out 1", b"y" * 40, b"y" * 40], b"\x82\x02ok\x82\x011\x82\x28" + b"x" * 40),
    ],
    ids=["echo", "in", "out", "echo after out"],
)
def test_speed_server_does_what_messages_ask_for(commands, expected):
    with probe_server.speed_server() as address, socket.create_connection(address, timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        taken = sock.makefile("rb")
        reply = b"".join(iter(taken.readline, b"\r\n"))
        assert wire.accept_value("dGhlIHNhbXBsZSBub25jZQ==").encode() in reply
        for command in commands:
            sock.sendall(wire.frame(wire.BINARY, command, key=b"1234"))
        assert taken.read(len(expected)) == expected
        sock.sendall(wire.frame(wire.CLOSE, wire.close_payload(1000), key=b"1234"))
        assert taken.read() == wire.frame(wire.CLOSE, wire.close_payload(1000))


def test_speeds_of_printed_lines_are_medians_of_whole_rounds():
    printed = (
        "echo 128 50 500 10 300\necho 128 50 500 10 500\necho 128 50 250 10 400\nout 128 50 100 1 3\nended: closed\n"
    )
    assert compare.speeds(printed, rounds=3) == {("echo", 128): (40, 5)}


# Tables and charts.


def result(client, **changes):
    """Return a Result in which everything was measured, but for `changes`."""
    parts = {
        "kept": 10000,
        "heaps": dict.fromkeys(compare.ECHOES, 16 * 1024),
        "speeds": {(way, size): (1234.5, 2.5) for way in compare.WAYS for size in compare.SIZES},
        "findings": dict.fromkeys(PROBES, probe_server.Finding(True, "yes")),
    }
    return compare.Result(client, **parts | changes)


RESULTS = [
    result(compare.OURS),
    result(compare.CLIENTS[1], findings={}),
    result(
        OTHERS[0],
        kept=None,
        heaps=dict.fromkeys(compare.ECHOES),
        speeds={},
        findings=dict.fromkeys(PROBES, probe_server.Finding(False, "takes it")),
        failures=("speed: no end within 120 s",),
    ),
]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (compare.memory_table(RESULTS), ["smallest heap for five echoes of 100 B, KiB", "16", "16", "fails"]),
        (compare.speed_table(RESULTS, "echo"), ["64 KiB", "1.23 ms, 2.50x", "1.23 ms, 2.50x", "fails"]),
        (compare.probe_table(RESULTS, "Messages"), ["assembles fragments", "yes", "**no**: takes it"]),
        (compare.readme_table(RESULTS), ["probes passed", f"{len(PROBES)} of {len(PROBES)}", f"0 of {len(PROBES)}"]),
    ],
    ids=["memory", "speed", "probes", "readme"],
)
def test_table_of_results_has_a_cell_for_each_client(table, row):
    header, rows = table
    assert row in rows
    assert {len(cells) for cells in rows} == {len(header)}


def test_readme_table_has_six_rows():
    assert len(compare.readme_table(RESULTS)[1]) == 6


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(7.894, "7.89 us"), (78.94, "78.9 us"), (789.4, "789 us"), (1000, "1.00 ms"), (54321, "54.3 ms")],
)
def test_time_of_a_message_has_three_digits(microseconds, text):
    assert compare._time(microseconds) == text


@pytest.mark.parametrize(
    ("finding", "text"),
    [((True, "yes"), "yes"), ((False, "no"), "**no**"), ((True, "closes with 1002"), "yes: closes with 1002")],
)
def test_cell_of_a_finding_tells_what_the_client_does(finding, text):
    assert compare._cell(probe_server.Finding(*finding)) == text


@pytest.mark.parametrize("draw", [compare.memory_chart, compare.speed_chart], ids=["memory", "speed"])
def test_chart_of_results_has_a_bar_for_each_client_in_each_group(draw):
    picture = xml.etree.ElementTree.fromstring(draw(RESULTS))
    bars = [part for part in picture.iter("{http://www.w3.org/2000/svg}rect") if part.get("height") == "12"]
    assert len(bars) == 5 * len(RESULTS)
    assert all(0 <= float(bar.get("width")) <= 420 for bar in bars)
    assert "fails" in [part.text for part in picture.iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture
def documents(monkeypatch, tmp_path):
    """A page and a README to write to, and stand-in results."""
    for name in ("comparison.md", "README.md"):
        (tmp_path / name).write_text("before\n<!-- comparison:begin -->\nold\n<!-- comparison:end -->\nafter\n")
    monkeypatch.setattr(compare, "DOCS", tmp_path)
    monkeypatch.setattr(compare, "PAGE", tmp_path / "comparison.md")
    monkeypatch.setattr(compare, "README", tmp_path / "README.md")
    monkeypatch.setattr(compare, "measure", lambda *_: RESULTS)
    monkeypatch.setattr(rigs, "need", lambda *_: None)
    monkeypatch.setattr(compare, "version", lambda: "MicroPython v1.25.0")
    return tmp_path


def test_compare_with_write_puts_tables_and_charts_into_the_documents(documents, capsys):
    assert compare.main(["--write"]) == 0
    for name in ("comparison.md", "README.md"):
        text = (documents / name).read_text()
        assert text.startswith("before\n") and text.endswith("after\n")
        assert "old" not in text and "`make compare`" in text and OTHERS[0].title in text
    assert "chumicro-websockets, speed: no end within 120 s" in (documents / "comparison.md").read_text()
    for name in ("comparison-memory.svg", "comparison-speed.svg"):
        assert f"({name})" in (documents / "comparison.md").read_text()
        assert (documents / name).read_text().startswith("<svg")
    assert "no end within 120 s" in capsys.readouterr().out


def test_compare_without_write_leaves_the_documents_alone(documents):
    assert compare.main([]) == 0
    assert "old" in (documents / "README.md").read_text()
    assert sorted(path.name for path in documents.iterdir()) == ["README.md", "comparison.md"]


def test_compare_where_this_client_fails_fails(documents, monkeypatch, capsys):
    monkeypatch.setattr(compare, "measure", lambda *_: [result(compare.OURS, failures=("import: MemoryError",))])
    assert compare.main([]) == 1
    assert capsys.readouterr().err.startswith("compare: this client fails: import: MemoryError (try: ")


def test_compare_of_client_that_cannot_be_fetched_fails_and_says_so(monkeypatch, capsys):
    def need(*names):
        raise rigs.RigMissing(f"{names[0]} cannot be had: no network (try: make setup RIGS={names[0]})")

    monkeypatch.setattr(rigs, "need", need)
    assert compare.main([]) == 1
    said = "compare: other-clients cannot be had: no network (try: make setup RIGS=other-clients)\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "at least 1"),
        (["--only", "via_nobody"], "via_uwebsocket"),
        (["--only", "via_uwebsocket", "--write"], "without --write"),
        (["--aiohttp", "/nowhere"], "(try: python-ecosys/aiohttp of micropython-lib)"),
    ],
    ids=["rounds", "only", "only and write", "aiohttp"],
)
def test_compare_with_a_wrong_argument_is_a_usage_error(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_pins_of_compare_name_every_package_of_every_client():
    pinned = [pin.partition("==")[0] for pin in rigs.PINS["tool"]["uwebsocket"]["compare"]["packages"]]
    assert sorted(pinned) == sorted(name for client in OTHERS for name in client.packages)


# On the interpreter.


@pytest.fixture(scope="module")
def bench():
    """This client, compiled once."""
    return compare.Bench(compare.OURS, rigs.OTHER_CLIENTS)


def _measured(client):
    """Measure a little of everything."""
    bench = compare.Bench(client, rigs.OTHER_CLIENTS)
    with probe_server.speed_server() as address:
        url = "ws://{}:{}/".format(*address)
        kept = bench.kept()
        bench._start(["compare_echo", client.module, url, 100])
        printed, failure = bench.turns(address, 1, [128])
    return kept, compare.speeds(printed, 1), failure


@pytest.mark.parametrize("client", OTHERS, ids=[f"other-clients-{client.title}" for client in OTHERS])
def test_client_on_micropython32_can_be_measured(client):
    kept, speeds, failure = _measured(client)
    assert kept > 0 and failure is None
    assert sorted(speeds) == [("echo", 128), ("in", 128), ("out", 128)]


@pytest.mark.parametrize("viper", [False, True], ids=["portable", "viper"])
def test_this_client_on_micropython32_can_be_measured(viper):
    client = compare.CLIENTS[viper]
    kept, speeds, failure = _measured(client)
    assert client.viper == viper and kept > 0 and failure is None
    assert sorted(speeds) == [("echo", 128), ("in", 128), ("out", 128)]


def test_bench_on_micropython32_of_a_program_that_fails_tells_its_last_line(bench):
    with pytest.raises(measured.MeasureError, match="memory"):
        bench._start(["compare_echo", "via_uwebsocket", "ws://127.0.0.1:1/", 100], heap=2048)


@each_probe
def test_probe_on_micropython32_of_this_client_passes(bench, probe):
    found = bench.finding(probe)
    assert found.passed, found.what
