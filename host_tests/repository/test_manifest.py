"""micropython/manifest.py: it freezes every module of the client, and nothing else."""

import pytest

from common import compiler, rigs


class Options:
    """What a manifest knows as `options`: what its includer gave, else its own defaults."""

    def __init__(self, **given):
        self._given = given

    def defaults(self, **values):
        """Set what was not given."""
        for name, value in values.items():
            setattr(self, name, self._given.get(name, value))


def _frozen(**given):
    """Return {file: optimisation level} of what the manifest freezes."""
    found = {}

    def module(path, base_path=".", opt=None):
        found[path] = opt

    path = rigs.DEVICE / "manifest.py"
    exec(compile(path.read_text(), str(path), "exec"), {"module": module, "options": Options(**given)})
    return found


_CASES = {
    "by-itself": ({}, [compiler.MASKER]),
    "without-masker": ({"masker": False}, []),
    "with-asyncio": ({"masker": False, "asyncio": True}, [compiler.EXTRAS["asyncio"]]),
    "with-deflate": ({"masker": False, "deflate": True}, [compiler.EXTRAS["deflate"]]),
}


@pytest.mark.parametrize(("given", "more"), _CASES.values(), ids=list(_CASES))
def test_manifest_included_freezes_all_modules_without_line_numbers(given, more):
    names = [path.name for path in compiler.sources()] + more
    assert _frozen(**given) == dict.fromkeys(names, 3)
