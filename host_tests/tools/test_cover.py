"""tools/cover.py: which tests are a module's own, what they run of it, and the verdict."""

import pytest

import cover


@pytest.mark.parametrize("module", cover.modules())
def test_tests_of_every_device_module_are_there(module):
    assert all(path.is_file() for path in cover.tests(module))


def test_tests_of_a_module_without_any_is_an_error():
    with pytest.raises(cover.CoverError, match="uwebsocket_new has no tests of its name .try: .*test_new.py"):
        cover.tests("uwebsocket_new")


def test_exceptions_name_device_modules_only():
    assert {*cover.TESTS, *cover.LEAST} <= set(cover.modules())


_TEST = """
import subprocess, sys
def test_it():
    import device
    device.here()
    subprocess.run([sys.executable, "-c", "import device; device.there()"], check=True)
"""
_DEVICE = """
def here():
    return 1
def there():
    return 2
def nowhere():
    return 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A device module, a test of it, and the place for results."""
    (tmp_path / "device.py").write_text(_DEVICE)
    (tmp_path / "test_device.py").write_text(_TEST)
    monkeypatch.setattr(cover.rigs, "DEVICE", tmp_path)
    monkeypatch.setattr(cover.rigs, "ROOT", tmp_path)
    monkeypatch.setattr(cover, "OUT", tmp_path / "out")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_measure_counts_what_ran_here_and_in_subprocesses(project):
    found = cover.measure(["device"], [project / "test_device.py"])
    assert found == {"device": (pytest.approx(500 / 6), [7])}


def test_measure_of_a_failing_test_is_an_error_with_the_command(project):
    (project / "test_device.py").write_text("def test_it():\n    import device\n    assert not device.here()\n")
    with pytest.raises(cover.CoverError, match="device: 1 failed.*try: .venv/bin/pytest test_device.py"):
        cover.measure(["device"], [project / "test_device.py"])


@pytest.mark.parametrize(
    ("percent", "line"),
    [(90, ""), (89.9, "cover: _wsurl: 89.9 % of its lines, the limit is 90 % (try: ")],
    ids=["at-the-limit", "below"],
)
def test_main_below_the_limit_fails_and_tells_figure_and_limit(monkeypatch, capsys, percent, line):
    monkeypatch.setattr(cover, "measure_all", lambda names: {name: (percent, [7]) for name in names})
    assert cover.main(["_wsurl"]) == bool(line)
    assert capsys.readouterr().err.startswith(line)


def test_main_of_unknown_module_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        cover.main(["uwebsocket_new"])
    assert stopped.value.code == 2
    assert "_wsurl" in capsys.readouterr().err
