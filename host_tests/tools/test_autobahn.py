"""tools/autobahn.py: which cases run, how an ill client is ended, and what its results are held against."""

import json
import os
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.server import serve

import autobahn
from autobahn import Result
from common import generated
from common.rigs import CHIP


@pytest.mark.parametrize(
    "cases, patterns",
    [
        pytest.param("1", ["1.*"], id="section"),
        pytest.param("1-3,10", ["1.*", "2.*", "3.*", "10.*"], id="range"),
        pytest.param("7-10", ["7.*", "9.*", "10.*"], id="range-over-a-gap"),
        pytest.param("9.1.6,2.11", ["9.1.6", "2.11"], id="single-cases"),
    ],
)
def test_cases_well_formed_expand_to_patterns(cases, patterns):
    assert autobahn.expand(cases) == patterns


@pytest.mark.parametrize("cases", ["", "x", "1-", "-1", "1,", "1.1-1.3", "1.*", "8", "99"])
def test_cases_malformed_raise_value_error(cases):
    with pytest.raises(ValueError, match="section"):
        autobahn.expand(cases)


@pytest.mark.parametrize(
    "arguments, text",
    [
        pytest.param(["--cases", "8"], "no section", id="unknown-section"),
        pytest.param(["--on", "pascal"], "no rig", id="unknown-interpreter"),
        pytest.param(["--write", "--cases", "1,2.3"], "whole sections", id="part-of-a-section"),
    ],
)
def test_main_wrong_argument_returns_2(arguments, text, capsys):
    assert autobahn.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_main_with_quick_cases_takes_the_sections_of_make_test(capsys):
    assert autobahn.main(["--cases", "quick", "--dry-run"]) == 0
    quick = capsys.readouterr().out
    assert autobahn.main(["--cases", autobahn.QUICK, "--dry-run"]) == 0
    assert capsys.readouterr().out == quick
    assert set(autobahn.expand(autobahn.QUICK)) < set(autobahn.expand(autobahn.FULL))


def test_main_dry_run_starts_nothing(capsys):
    assert autobahn.main(["--dry-run", "--on", "cpython", "--cases", "9-10"]) == 0
    assert "cases 9.* 10.* on cpython" in capsys.readouterr().out


# The accepted list

ENTRY = {"case": "6.4.1", "behavior": "NON-STRICT", "reason": "text is checked once it is whole"}


@pytest.mark.parametrize(
    "change, text",
    [
        pytest.param({"case": ""}, "without case", id="no-case"),
        pytest.param({"behavior": None}, "without behavior", id="no-behavior"),
        pytest.param({"reason": "  "}, "without reason", id="blank-reason"),
        pytest.param({"agent": "cpython"}, "unknown key agent", id="unknown-key"),
    ],
)
def test_accepted_list_incomplete_raises_value_error(tmp_path, change, text):
    entry = {key: value for key, value in (ENTRY | change).items() if value is not None}
    path = tmp_path / "accepted.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=text):
        autobahn.load_accepted(path)


def test_accepted_list_of_the_project_is_complete():
    assert isinstance(autobahn.load_accepted(), list)


@pytest.mark.parametrize(
    "change, result, covered",
    [
        pytest.param({}, Result("cpython", "6.4.1", "NON-STRICT", "OK"), True, id="same"),
        pytest.param({}, Result("cpython", "6.4.1", "NON-STRICT", "INFORMATIONAL"), True, id="close-informational"),
        pytest.param({}, Result("cpython", "6.4.2", "NON-STRICT", "OK"), False, id="other-case"),
        pytest.param({}, Result("cpython", "6.4.1", "FAILED", "OK"), False, id="other-behavior"),
        pytest.param({}, Result("cpython", "6.4.1", "NON-STRICT", "UNCLEAN"), False, id="close-not-named"),
        pytest.param({"close": "UNCLEAN"}, Result("cpython", "6.4.1", "NON-STRICT", "UNCLEAN"), True, id="close-named"),
        pytest.param(
            {"close": "UNCLEAN"}, Result("cpython", "6.4.1", "NON-STRICT", "WRONG CODE"), False, id="other-close"
        ),
        pytest.param(
            {"agents": ["micropython32"]}, Result("cpython", "6.4.1", "NON-STRICT", "OK"), False, id="other-agent"
        ),
    ],
)
def test_accepted_entry_covers_only_what_it_names(change, result, covered):
    assert autobahn.accepts(ENTRY | change, result) is covered


@pytest.mark.parametrize("close", autobahn.GOOD)
@pytest.mark.parametrize("behavior", autobahn.GOOD)
def test_judge_good_result_needs_no_entry(behavior, close):
    assert autobahn.judge([Result("cpython", "1.1.1", behavior, close)], []) == ([], [], [])


def test_judge_mixed_results_splits_them():
    strict = Result("cpython", "6.4.1", "OK", "OK")
    lax = Result("micropython32", "6.4.1", "NON-STRICT", "OK")
    failed = Result("cpython", "7.1.5", "OK", "WRONG CODE")
    stale, not_run = ENTRY | {"case": "7.1.5"}, ENTRY | {"case": "9.9.9"}
    verdict = autobahn.judge([strict, lax, failed], [ENTRY, stale, not_run])
    assert verdict == ([failed], [lax], [stale])


# The report


def test_results_report_with_gaps_tells_trouble_and_missing():
    index = {"cpython": {case: {"behavior": "OK", "behaviorClose": "OK"} for case in ("1.1.1", "1.1.2")}}
    found = autobahn.results(index, ["cpython", "micropython64"], ["1.1.1", "1.1.2"], {"cpython": {"1.1.2": "TIMEOUT"}})
    assert found == [
        Result("cpython", "1.1.1", "OK", "OK"),
        Result("cpython", "1.1.2", "TIMEOUT", "OK"),
        Result("micropython64", "1.1.1", "MISSING", "MISSING"),
        Result("micropython64", "1.1.2", "MISSING", "MISSING"),
    ]
    assert [autobahn.is_good(result) for result in found] == [True, False, False, False]


def mixed_results():
    """Return (found, refused, taken, cases): one failed, one accepted."""
    cases = ["1.1.1", "1.1.2", "10.1.1"]
    found = [Result(agent, case, "OK", "OK") for agent in ("cpython", "micropython32") for case in cases]
    return found, [found[0]], [found[5]], cases


def test_table_mixed_results_counts_by_section():
    assert autobahn.table(*mixed_results()) == {
        "1 Framing": {"cases": "2", "cpython": "1 OK, 1 **failed**", "micropython32": "2 OK"},
        "10 Auto-fragmentation": {"cases": "1", "cpython": "1 OK", "micropython32": "0 OK, 1 accepted"},
    }


def test_table_tells_how_many_cases_an_interpreter_left_out():
    found, cases = [Result(CHIP, "9.1.1", "OK", "OK")], ["9.1.1", "9.1.6", "9.3.1"]
    assert autobahn.table(found, [], [], cases)["9 Limits and performance"][CHIP] == "1 OK, 2 too long"


def test_summary_written_before_is_read_as_it_was():
    rows = autobahn.table(*mixed_results())
    origins = {"cpython": "Python 3.11.7, 2026-01-01", "micropython32": "3.4.0; MicroPython v1.26.1, 2026-01-02"}
    summary = autobahn.summarize(rows, origins, "server==1")
    block = f"{summary}\n\n{autobahn.explain([ENTRY])}"
    text = f"# A title\n\n- a: b\n<!-- autobahn:begin -->\n{block}\n<!-- autobahn:end -->\n"
    assert autobahn.earlier(text) == (rows, origins)


def test_columns_made_apart_keep_the_others_and_their_dates():
    rows = autobahn.table(*mixed_results())
    text = autobahn.summarize(rows, {"cpython": "3.11, then", "micropython32": "v1.26, then"}, "server==1")
    text = f"<!-- autobahn:begin -->\n{text}\n<!-- autobahn:end -->"
    again = {"1 Framing": {"cases": "3", CHIP: "3 OK", "cpython": "3 OK"}}
    assert autobahn.merged(again, {"cpython": "3.12, now", CHIP: "v1.25, now"}, text) == (
        {
            "1 Framing": {"cases": "3", "cpython": "3 OK", "micropython32": "2 OK", CHIP: "3 OK"},
            "10 Auto-fragmentation": {"cases": "1", "cpython": "1 OK", "micropython32": "0 OK, 1 accepted"},
        },
        {"cpython": "3.12, now", "micropython32": "v1.26, then", CHIP: "v1.25, now"},
    )
    assert autobahn.merged(again, {"cpython": "", CHIP: ""}, "") == (
        {"1 Framing": {"cases": "3", "cpython": "3 OK", CHIP: "3 OK"}},
        {"cpython": "", CHIP: ""},
    )


def test_explanation_lists_accepted_deviations_with_reason():
    entries = [ENTRY, ENTRY | {"case": "7.1.5", "agents": ["cpython", CHIP]}]
    assert autobahn.explain(entries).splitlines() == [
        "- 6.4.1, NON-STRICT (everywhere): text is checked once it is whole",
        f"- 7.1.5, NON-STRICT (cpython, {CHIP}): text is checked once it is whole",
    ]
    assert autobahn.explain([]) == "No deviation had to be accepted."


# Heaps


@pytest.mark.parametrize(
    "numbers, text",
    [pytest.param([1, 2, 3], "1-3", id="one"), pytest.param([1, 2, 5, 7, 8], "1-2,5-5,7-8", id="gaps")],
)
def test_numbers_of_cases_are_told_as_ranges(numbers, text):
    assert autobahn.ranges(numbers) == text


def test_chip_runs_long_cases_in_a_larger_heap_and_leaves_out_what_fits_into_none():
    cases = ["1.1.5", "1.1.6", "9.1.6", "9.7.1", "10.1.1"]
    assert autobahn.heaps(CHIP, cases) == {"38k": [1, 4], "1m": [2, 5]}
    assert autobahn.heaps("micropython32", cases) == {"128m": [1, 2, 3, 4, 5]}
    index = {CHIP: {case: {"behavior": "OK", "behaviorClose": "OK"} for case in cases}}
    assert [result.case for result in autobahn.results(index, [CHIP], cases, {})] == [
        "1.1.5",
        "1.1.6",
        "9.7.1",
        "10.1.1",
    ]


def test_generated_block_between_markers_is_replaced(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n")
    generated.write(path, "x", "new")
    generated.write(path, "x", "newer")
    assert path.read_text() == "a\n<!-- x:begin -->\nnewer\n<!-- x:end -->\nb\n"


@pytest.mark.parametrize("text", ["", "<!-- x:begin -->", "<!-- x:end --><!-- x:begin -->"])
def test_generated_block_without_markers_raises_value_error(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="add the lines"):
        generated.write(path, "x", "new")
    assert path.read_text() == text


# Bounded time

SLEEP = "import time; time.sleep(60)"


def run_program(tmp_path, program, seconds=60, whole=120):
    argv = [sys.executable, "-u", "-c", program]
    deadline = time.monotonic() + whole
    return autobahn.run_client(argv, None, tmp_path / "log", seconds, deadline, progress=lambda number: None)


@pytest.mark.parametrize(
    "program, seconds, verdict",
    [
        pytest.param("print('start 1\\nend 1 0 5')", 60, (None, {}), id="all-well"),
        pytest.param(
            "print('start 1\\nend 1 timeout 5\\nstart 2\\nend 2 0 5')", 60, (None, {1: "TIMEOUT"}), id="time-out"
        ),
        pytest.param("print('start 1\\nend 1 0 5\\nstart 2'); raise MemoryError", 60, (2, {2: "CRASHED"}), id="crash"),
        pytest.param(f"print('start 1'); {SLEEP}", 1, (1, {1: "TIMEOUT"}), id="hang"),
    ],
)
def test_client_run_tells_which_case_went_wrong(tmp_path, monkeypatch, program, seconds, verdict):
    monkeypatch.setattr(autobahn, "GRACE_SECONDS", 5)
    assert run_program(tmp_path, program, seconds) == verdict


@pytest.mark.parametrize(
    "program, whole, text",
    [
        pytest.param("raise ImportError('uwebsocket_client')", 60, "outside of a case", id="no-case-run"),
        pytest.param(f"print('start 1'); {SLEEP}", 1, "whole run took too long", id="deadline"),
        pytest.param(
            "import time\nwhile True: print('start 1'); time.sleep(0.01)", 1, "whole run took too long", id="chatter"
        ),
    ],
)
def test_client_run_beyond_its_bounds_raises(tmp_path, program, whole, text):
    with pytest.raises(autobahn.AutobahnError, match=text):
        run_program(tmp_path, program, whole=whole)


# What the fuzzing server does, as far as the tool sees it; it tells its process and its arguments.
_READY = """
import json, os, pathlib, socket, sys, time
pathlib.Path("told.json").write_text(json.dumps([os.getpid(), sys.argv]))
spec = json.loads(pathlib.Path("server.json").read_text())
with socket.create_server(("127.0.0.1", int(spec["url"].rpartition(":")[2]))):
    print("Cases = ['1.1.1']")
    time.sleep(60)
"""


def fake_server(tmp_path, program):
    path = tmp_path / "server.py"
    path.write_text(program)
    return autobahn.serving([sys.executable, "-u", str(path)], None, ["1.*"], tmp_path / "out")


def test_server_ready_yields_its_cases_and_ends_with_the_block(tmp_path):
    with fake_server(tmp_path, _READY) as (url, cases):
        assert cases == ["1.1.1"]
        spec = json.loads((tmp_path / "out/server.json").read_text())
        assert spec["url"] == url and spec["cases"] == ["1.*"]
        pid, arguments = json.loads((tmp_path / "out/told.json").read_text())
        os.kill(pid, 0)
        web_server = arguments[arguments.index("-u") + 1]
        assert web_server == "0", "it would listen on 8080 too, which may be taken"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("raise SystemExit('no port')", id="at-once"),
        pytest.param("""print("Cases = ['1.1.1']"); raise SystemExit('no port')""", id="before-it-listens"),
    ],
)
def test_server_that_ends_is_an_error_with_its_last_word(tmp_path, program):
    with (
        pytest.raises(autobahn.AutobahnError, match="it said: no port .see .*server.log; try: "),
        fake_server(tmp_path, program),
    ):
        pass


# The client program

MESSAGES = ("", "text \u00e4\u20ac", b"", bytes(range(256)) * 15)


class CaseServer:
    """Plays the fuzzing server: two cases, of which the first sends MESSAGES and keeps what comes back."""

    def __init__(self):
        self.paths, self.echoes = [], []

    def __call__(self, connection):
        url = urlsplit(connection.request.path)
        self.paths.append(connection.request.path)
        if parse_qs(url.query).get("case") == ["1"]:
            for message in MESSAGES:
                connection.send(message)
                self.echoes.append(connection.recv(5))
        elif url.path == "/runCase":
            connection.recv()  # nothing comes: this case takes too long


@pytest.mark.parametrize("interpreter", autobahn.AGENTS)
def test_client_program_runs_cases_and_asks_for_the_report(interpreter, tmp_path):
    play = CaseServer()
    with serve(play, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        troubles = autobahn.run_agent(interpreter, url, ["1.1.1", "1.1.2"], 2, time.monotonic() + 60, tmp_path)
        server.shutdown()
    assert (tmp_path / f"{interpreter}.log").read_text() == ""
    assert play.paths == [
        f"/runCase?case=1&agent={interpreter}",
        f"/runCase?case=2&agent={interpreter}",
        f"/updateReports?agent={interpreter}",
    ]
    assert play.echoes == list(MESSAGES)
    assert troubles == {"1.1.2": "TIMEOUT"}
