"""tools/size.py: the arithmetic, the server behind it, the verdict."""

import json

import pytest
from websockets.sync.client import connect

import size
from common import measured, rigs

ROW = size.Row("some memory", lambda measure: 0, limit=2048, goal=1024, unit="KiB")


@pytest.fixture(scope="module")
def server():
    with size.loopback_server() as url:
        yield url


@pytest.fixture(scope="module")
def tls_server():
    with size.tls_server() as url:
        yield url


def needs(least):
    """Return an attempt that fails below `least`."""

    def attempt(heap):
        if heap < least:
            raise measured.MeasureError(f"{heap} is too little")

    return attempt


@pytest.mark.parametrize(
    ("least", "found"),
    [(0, 256), (256, 256), (257, 512), (1000, 1024), (4095, 4096), (4096, 4096)],
)
def test_smallest_attempt_that_succeeds_is_found(least, found):
    assert measured.smallest(needs(least), 256, 4096, 256) == found


def test_smallest_nothing_succeeds_tells_the_cause():
    with pytest.raises(measured.MeasureError, match="4096 is too little"):
        measured.smallest(needs(5000), 256, 4096, 256)


@pytest.mark.parametrize(
    ("figure", "failure", "is_broken"),
    [(2047, None, False), (2048, None, False), (2049, None, True), (None, "MemoryError", True)],
    ids=["below", "at the limit", "above", "failed"],
)
def test_broken_of_figure_compares_with_the_limit(figure, failure, is_broken):
    assert bool(size.broken([(ROW, figure, failure)])) is is_broken


def test_broken_of_row_without_a_limit_takes_any_figure():
    row = size.Row("some memory", lambda measure: 0, limit=None, goal=None)
    assert size.broken([(row, 9999, None)]) == []
    assert size.broken([(row, None, "MemoryError")]) == ["some memory: failed: MemoryError"]


@pytest.mark.parametrize(("figure", "kept"), [(2047, False), (2048, True), (4096, True)])
def test_row_with_a_limit_from_below_is_broken_by_less(figure, kept):
    row = size.Row("free memory", lambda measure: 0, 2048, 4096, least=True)
    assert (size.broken([(row, figure, None)]) == []) == kept


@pytest.mark.parametrize(
    ("unit", "figure", "text"),
    [("KiB", 11520, "11.25 KiB"), ("B", 0, "0 B"), ("B", None, ""), ("", 3, "3")],
)
def test_row_text_of_figure_has_its_unit(unit, figure, text):
    assert size.Row("row", lambda measure: 0, 1, 1, unit).text(figure) == text


def test_rows_are_unique_and_no_goal_is_above_its_limit():
    rows = size.rows(1000) + size.chip_rows()
    assert len({row.what for row in rows}) == len(rows)
    for row in rows:
        assert row.goal is None or not row.breaks(row.goal)


@pytest.mark.parametrize(
    ("path", "message", "answer"),
    [
        ("/echo", b"\x00\x01", b"\x00\x01"),
        ("/echo", "text", "text"),
        ("/reply/binary/1000", "", bytes(1000)),
        ("/reply/text/1000", "", "x" * 1000),
    ],
)
def test_server_path_answers_as_asked(server, path, message, answer):
    with connect(server + path) as client:
        client.send(message)
        assert client.recv(timeout=5) == answer


def test_server_once_closes_after_one_echo(server):
    with connect(f"{server}/once") as client:
        client.send("text")
        assert list(client) == ["text"]


def test_server_stream_sends_one_message_and_counts_the_other(server):
    with connect(f"{server}/stream/70000") as client:
        assert client.recv(timeout=5) == bytes(70000)
        client.send([b"12345", b"", b"678"])
        assert client.recv(timeout=5) == "8"


@pytest.fixture
def figures(monkeypatch, tmp_path):
    """Stand-in measurements, and one page to write to, for README.md and docs/costs.md."""
    readme = tmp_path / "README.md"
    blocks = "".join(f"<!-- {name}:begin -->\nold\n<!-- {name}:end -->\n" for name in ("size", "costs"))
    readme.write_text(f"# Title\n\n{blocks}")
    results = []
    monkeypatch.setattr(size, "README", readme)
    monkeypatch.setattr(size, "COSTS", readme)
    monkeypatch.setattr(size, "measure_all", lambda interpreter, rounds, chip: results)
    return results, readme


@pytest.mark.parametrize(("figure", "code"), [(2048, 0), (2049, 1)], ids=["kept", "broken"])
def test_main_with_limit_returns_the_verdict_and_writes_nothing(figures, capsys, figure, code):
    results, readme = figures
    results.append((ROW, figure, None))
    before = readme.read_text()
    assert size.main([]) == code
    told = "size: some memory: 2.00098 KiB, the limit is 2 KiB (try: make size on the change before)\n"
    assert capsys.readouterr().err == (told if code else "")
    assert readme.read_text() == before


@pytest.mark.parametrize(("figure", "code"), [(1536, 0), (4096, 1)], ids=["kept", "broken"])
def test_main_write_puts_the_table_and_its_origin_into_the_readme(figures, figure, code):
    results, readme = figures
    results.append((ROW, figure, None))
    assert size.main(["--write"]) == code
    text = readme.read_text()
    shown = ROW.text(figure) + (" (over)" if code else "")
    assert f"| some memory | {shown} | 2 KiB | 1 KiB |" in text
    assert "`make size`, MicroPython" in text
    assert "| what | measured |\n" in text and text.count("some memory") == 1
    assert "old" not in text


@pytest.mark.parametrize(("figure", "code"), [(2048, 0), (3000, 0), (3072, 0), (3073, 1)])
def test_row_that_is_known_to_be_over_its_limit_is_told_and_must_not_grow(figures, capsys, monkeypatch, figure, code):
    results, _ = figures
    results.append((ROW, figure, None))
    monkeypatch.setattr(size, "OVER", {ROW.what: 3072})
    assert size.main([]) == code
    told = capsys.readouterr().err
    assert ("over the limit of 2 KiB" in told) == (2048 < figure <= 3072)
    assert ("the limit is 3 KiB" in told) == bool(code)


def test_rows_that_are_over_their_limit_are_rows_of_the_table():
    assert set(size.OVER) <= {row.what for row in (size.rows(1000) + size.chip_rows()) if row.limit is not None}


def test_main_json_prints_bytes(figures, capsys):
    results, _ = figures
    results.append((ROW, 1536, None))
    assert size.main(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row == {"what": "some memory", "measured": 1536, "limit": 2048, "goal": 1024, "failure": None}


def test_main_few_rounds_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        size.main(["--rounds", "10"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("interpreter", [name for name in rigs.available() if name != "cpython"])
def test_measure_on_interpreter_gives_figures_and_failures(server, tls_server, interpreter):
    measure = size.Measure(interpreter, server, tls_server, rounds=100)
    assert 0 < measure.kept_by_import() < 64 * size.KIB
    assert 0 < measure.kept_by_config() < 64 * size.KIB
    assert 0 < measure.kept_by_reconnecting() < 64 * size.KIB
    assert 0 < measure.kept_by_tls() < 64 * size.KIB
    growth, leaked = measure.growth_by_reconnects
    assert growth <= 0 and leaked == 0
    with pytest.raises(measured.MeasureError, match="no module named"):
        measure._program("size_absent", "/echo")
    with pytest.raises(measured.MeasureError, match="MemoryError|memory"):
        measure._program("size_echo", "/echo", 100, heap=2048)
