"""_wsconfig: what each option takes and what it refuses, on every interpreter."""

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _wsconfig import KEYS, update
from common import rigs
from support import chip_tables
from support.programs import CHIP, told
from upy.config_cases import BAD, DEFAULTS, GOOD, NOT_DICTS, UNKNOWN, token
from upy.plain import plain

_BASE = tuple(DEFAULTS[key] for key in KEYS)
_INTERPRETERS = (*rigs.INTERPRETERS, CHIP)
_EACH = pytest.mark.parametrize("interpreter", _INTERPRETERS)


def _load(name):
    return importlib.import_module(name)


def _told(interpreter):
    return told(interpreter, "config_program.py")


def _cases(table):
    return [
        pytest.param(interpreter, *case, id=f"{case[0]}-{interpreter}")
        for case in table
        for interpreter in _INTERPRETERS
        if interpreter != CHIP or chip_tables.plays_option(case[1])
    ]


@pytest.mark.parametrize(("interpreter", "name", "key", "value"), _cases(GOOD))
def test_value_of_an_option_that_is_good_is_kept(interpreter, name, key, value):
    kept, others, count = _told(interpreter)["good " + name]
    assert kept == ("function" if value is token else plain(value))
    assert (others, count) == ([], len(DEFAULTS))


@pytest.mark.parametrize("before", ["bad ", "bad after good "], ids=["alone", "after-a-good-one"])
@pytest.mark.parametrize(("interpreter", "name", "key", "value"), _cases(BAD))
def test_value_of_an_option_that_is_bad_is_refused_by_name(interpreter, before, name, key, value):
    error, text = _told(interpreter)[before + name]
    assert error == "ValueError"
    assert key.rstrip("s") in text and len(text) < 300


@_EACH
@pytest.mark.parametrize("key", UNKNOWN, ids=repr)
def test_key_that_is_unknown_is_refused_by_name(interpreter, key):
    error, text = _told(interpreter)[f"unknown {key!r}"]
    assert error == "ValueError" and repr(key) in text


@_EACH
@pytest.mark.parametrize("params", NOT_DICTS, ids=repr)
def test_params_that_are_no_dict_are_refused(interpreter, params):
    assert _told(interpreter)[f"no dict {params!r}"][0] == "TypeError"


@_EACH
def test_options_are_those_of_the_table_and_stay_as_they_were(interpreter):
    results = _told(interpreter)
    assert sorted(results["keys"]) == sorted(DEFAULTS)
    assert results["untouched"] == [plain(DEFAULTS[key]) for key in results["keys"]]


def test_tables_have_good_and_bad_values_for_each_option():
    assert {case[1] for case in GOOD} == {case[1] for case in BAD} == set(DEFAULTS)


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("headers", {"X": "1"}, lambda value: value.update(X="\r\n")),
        ("protocols", ["a"], lambda value: value.append("b")),
        ("tls", {"server_hostname": "h"}, lambda value: value.update(verify=True)),
    ],
    ids=["headers", "protocols", "tls"],
)
def test_value_that_is_changed_afterwards_was_copied(key, value, change):
    new = update(_BASE, {key: value}, _load)
    before = str(value)
    change(value)
    assert sorted(str(new[KEYS.index(key)])[1:-1].strip(",")) == sorted(before[1:-1])


def test_reconnect_bounds_are_compared_with_what_is_configured():
    new = update(_BASE, {"reconnect_min_ms": 50, "reconnect_max_ms": 50}, _load)
    for params in ({"reconnect_min_ms": 51}, {"reconnect_max_ms": 49}):
        with pytest.raises(ValueError, match="reconnect_m"):
            update(new, params, _load)
    assert update(new, {"reconnect_min_ms": 70000, "reconnect_max_ms": 80000}, _load)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=30), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=500, deadline=None)
@given(params=st.dictionaries(st.sampled_from([key for key in KEYS if key != "compression"]), _VALUES, max_size=3))
def test_values_of_any_type_are_kept_or_refused(params):
    try:
        new = update(_BASE, params, _load)
    except ValueError:
        return
    for key, old, value in zip(KEYS, _BASE, new, strict=True):
        if key not in params:
            assert value is old
    lines = [f"{name}: {value}" for name, value in new[KEYS.index("headers")].items()]
    assert not any(char in line for line in lines for char in "\r\n\0")
