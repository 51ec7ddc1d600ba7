"""tools/soak.py: a short run on real MicroPython, that every kind of fault is noticed, and the verdicts one by one."""

import json
from xml.etree import ElementTree

import pytest

import soak
from common import chart, rigs, soak_server
from common.soak_server import ENDINGS, Seen

_SHORT = ["--minutes", "0.4"]


def test_soak_of_half_a_minute_finds_nothing(capfd):
    assert soak.main([*_SHORT, "--on", "micropython32"]) == 0
    output, errors = capfd.readouterr()
    assert "messages came back unchanged" in output and errors == ""
    samples = [json.loads(line) for line in (soak.OUT / "soak.jsonl").read_text().splitlines()]
    assert len(samples) > 5
    for figure in ("messages", "connections"):
        assert samples[0][figure] < samples[-1][figure]
    assert ElementTree.parse(soak.OUT / "soak.svg").getroot().tag.endswith("svg")


_FAULTS = {
    "heap": "the heap in use has grown from",
    "descriptors": "descriptors are open",
    "hang": "the client stands still",
    "loss": "ValueError: message",
    "corruption": "ValueError: message",
}


def test_soak_of_half_a_minute_on_the_chip_finds_nothing(capfd):
    assert soak.main([*_SHORT, "--on", rigs.CHIP]) == 0
    output, errors = capfd.readouterr()
    assert "messages came back unchanged" in output and errors == ""


@pytest.mark.parametrize("sabotage", ["corruption", "descriptors"])
def test_soak_on_the_chip_that_is_sabotaged_fails_and_says_why(sabotage, capfd):
    assert soak.main(["--minutes", "0.2", "--on", rigs.CHIP, "--sabotage", sabotage]) == 1
    assert _FAULTS[sabotage] in capfd.readouterr().err


@pytest.mark.parametrize(("sabotage", "words"), _FAULTS.items(), ids=_FAULTS)
def test_soak_that_is_sabotaged_fails_and_says_why(sabotage, words, monkeypatch, capfd):
    if sabotage == "hang":
        monkeypatch.setattr(soak, "_HANG_S", 6)
    assert soak.main(["--minutes", "0.2", "--on", "micropython32", "--sabotage", sabotage]) == 1
    errors = capfd.readouterr().err
    assert words in errors and "(try: " in errors


def test_soak_sabotages_are_all_tried():
    assert set(soak.SABOTAGES) == set(_FAULTS)


# ---- the verdicts


def _told(**changes):
    return {"attempt": 7, "status": 0, "code": 1000, "echoed": 5, "descriptors": 4} | changes


def _seen(ending="user", **changes):
    return Seen(**{"ending": ENDINGS[ending], "echoed": 5, "code": ENDINGS[ending].code, "heard": 1000} | changes)


_GOOD = {
    "user": (_told(), _seen()),
    "close": (_told(status=-6, code=4999), _seen("close", code=4999, heard=4999)),
    "reset-loses": (_told(status=-109, echoed=3), _seen("reset", heard=None)),
    "nobody-listens": (_told(status=-111, echoed=0), Seen(soak_server.ABSENT)),
}
_BAD = {
    "status": (_told(status=-99), _seen(), "status -99 instead of 0"),
    "close-code": (_told(), _seen(heard=1001), "the client sent Close 1001 instead of 1000"),
    "no-close": (_told(), _seen(heard=None), "the client sent Close None instead of 1000"),
    "code-told": (_told(status=-6), _seen("close", code=3000, heard=3000), "close_code 1000 instead of 3000"),
    "lost": (_told(echoed=4), _seen(), "4 messages came back, 5 were sent back"),
    "too-many": (_told(status=-109, echoed=6), _seen("reset", heard=None), "6 messages came back, 5 were sent back"),
    "descriptor": (_told(descriptors=5), _seen(), "5 descriptors are open, 4 were at first"),
    "nobody-listened": (_told(), Seen(soak_server.ABSENT), "status 0 instead of -111"),
}


@pytest.mark.parametrize(("told", "seen"), _GOOD.values(), ids=_GOOD)
def test_judge_of_what_fits_says_nothing(told, seen):
    soak.judge(told, seen, descriptors=4)


@pytest.mark.parametrize(("told", "seen", "words"), _BAD.values(), ids=_BAD)
def test_judge_of_what_does_not_fit_says_why(told, seen, words):
    with pytest.raises(soak.SoakError, match=f"attempt 7: {words}"):
        soak.judge(told, seen, descriptors=4)


def _samples(used=lambda i: 16000, largest=lambda i: 9000, count=20):
    return [soak.Sample(i, used(i), 20000, largest(i), i, i, 4) for i in range(count)]


_HEAPS = {
    "steady": (_samples(), None),
    "noise": (_samples(used=lambda i: 16000 + i * 37 % 100), None),
    "warm-up": (_samples(used=lambda i: 15000 if i < 4 else 16000), None),
    "growth": (_samples(used=lambda i: 16000 + 20 * i), "grown from 16080 to 16240 B"),
    "growth-in-noise": (_samples(used=lambda i: 16000 + 20 * i + i * 37 % 100), "grown"),
    "step": (_samples(used=lambda i: 16000 if i < 12 else 16200), "grown from 16000 to 16200 B"),
    "pieces": (_samples(largest=lambda i: 9000 - 300 * i), "shrunk from 7800 to 5400 B"),
    "one-sample": (_samples(count=1), "too few"),
    "no-sample": ([], "too few"),
}


@pytest.mark.parametrize(("samples", "words"), _HEAPS.values(), ids=_HEAPS)
def test_judge_heap_of_samples_tells_growth_from_noise(samples, words):
    if words is None:
        soak.judge_heap(samples)
    else:
        with pytest.raises(soak.SoakError, match=words):
            soak.judge_heap(samples)


# ---- the chart


def test_chart_of_samples_has_a_line_for_each_column_within_its_panel():
    root = ElementTree.fromstring(soak.draw(_samples()))
    lines = [item for item in root.iter() if item.tag.endswith("polyline")]
    assert len(lines) == 6
    width, height = int(root.get("width")), int(root.get("height"))
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        assert len(points) == 20
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


@pytest.mark.parametrize("times", [[], [0], [3]], ids=["none", "at-once", "one"])
def test_chart_of_hardly_any_times_is_drawn(times):
    panel = chart.Panel("<title> & more", {"line": [0] * len(times)})
    assert "<title> & more" in ElementTree.fromstring(chart.svg([panel], times)).itertext()


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (5, 5), (6, 10), (11, 20), (16160, 20000)]
)
def test_chart_axis_ends_at_a_round_number(highest, top):
    assert chart._top(highest) == top


# ---- the tool


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--on", "basic"], ["--sabotage", "all"]])
def test_soak_with_a_wrong_argument_is_a_usage_error(arguments):
    with pytest.raises(SystemExit) as stopped:
        soak.main(arguments)
    assert stopped.value.code == 2


def test_soak_without_micropython_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(rigs, "missing", lambda: dict.fromkeys(rigs.HEAPS, "broken"))
    assert soak.main(_SHORT) == 1
    assert "(try: make setup)" in capsys.readouterr().err
