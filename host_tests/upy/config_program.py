"""Tells what _wsconfig makes of the tables."""

from config_cases import BAD, DEFAULTS, GOOD, NOT_DICTS, UNKNOWN
from plain import tell

from _wsconfig import KEYS, update


def load(name):
    """Return a module of the client's, as its own `load` does."""
    return __import__(name)


BASE = tuple(DEFAULTS[key] for key in KEYS)


def kept(value):
    """Return what JSON can hold of a kept value."""
    return "function" if callable(value) else value


def refused(params):
    """Return the name and the text of the error for `params`, None where they are taken."""
    try:
        update(BASE, params, load)
    except (ValueError, TypeError) as error:
        # UnicodeError would be another, but its name tells the same
        return [type(error).__name__, str(error)]


for name, key, value in GOOD:
    new = update(BASE, {key: value}, load)
    others = [i for i in range(len(KEYS)) if KEYS[i] != key and new[i] is not BASE[i]]
    tell("good " + name, [kept(new[KEYS.index(key)]), others, len(new)])
for name, key, value in BAD:
    tell("bad " + name, refused({key: value}))
    tell("bad after good " + name, refused({"reconnect_min_ms": 5, key: value}))
for key in UNKNOWN:
    tell("unknown {!r}".format(key), refused({key: 1}))
for params in NOT_DICTS:
    tell("no dict {!r}".format(params), refused(params))
tell("keys", KEYS)
tell("untouched", [kept(value) for value in BASE])
