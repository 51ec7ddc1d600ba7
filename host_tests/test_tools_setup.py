"""tools/setup.py and tools/rigs.py: what is installed, from where, and what happens when that fails."""

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rigs
import setup

SUITES = ["first", "second"]

# apt-get, apt-cache and dpkg in one: it logs what it is asked, and FAKE_APT says how to answer.
FAKE_APT = """#!{python}
import json, os, pathlib, re, sys
script = json.loads(os.environ["FAKE_APT"])
words = [word for word in sys.argv[1:] if not word.startswith("-")]
options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("-o"))
name = pathlib.Path(sys.argv[0]).name
suite = None
if "Dir::Etc::SourceList" in options and os.path.exists(options["Dir::Etc::SourceList"]):
    suite = pathlib.Path(options["Dir::Etc::SourceList"]).read_text().split()[-2]
with open(script["log"], "a") as log:
    print(name, *words[:1], suite or "", file=log)
if name == "dpkg":
    pathlib.Path(sys.argv[3], pathlib.Path(sys.argv[2]).stem).touch()
elif words[0] == "indextargets":
    print("\\n".join(script["targets"]))
elif words[0] == "update" and suite in script["broken"]:
    sys.exit("E: File has unexpected size. Mirror sync in progress?")
elif words[0] == "depends":
    print("wanted\\n  Depends: library\\n |Depends: <virtual>\\n<virtual>\\n  library\\nlibrary")
elif words[0] == "download":
    for package in words[1:]:
        pathlib.Path(package + ".deb").touch()
"""


class FakeApt:
    """A scripted apt on PATH, and the log of what it was asked."""

    def __init__(self, folder, monkeypatch):
        self._script = {"log": str(folder / "log"), "targets": ["http://mirror/debian/|Debian|stable"], "broken": []}
        self._monkeypatch = monkeypatch
        tools = folder / "bin"
        tools.mkdir()
        for name in ("apt-get", "apt-cache", "dpkg"):
            path = tools / name
            path.write_text(FAKE_APT.format(python=sys.executable))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tools))
        monkeypatch.setattr(setup, "_WAIT_S", 0)
        self.script()

    def script(self, **changes):
        self._script.update(changes)
        self._monkeypatch.setenv("FAKE_APT", json.dumps(self._script))

    def log(self):
        path = Path(self._script["log"])
        return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def apt(tmp_path, monkeypatch):
    folder = tmp_path / "apt"
    folder.mkdir()
    return FakeApt(folder, monkeypatch)


def unpack(folder, packages=("wanted",), **options):
    return setup.unpack_debian(folder, "i386", SUITES, list(packages), **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_unpack_debian_healthy_mirror_brings_the_packages_and_what_they_need(apt, tmp_path):
    assert unpack(tmp_path / "rig")
    assert names(tmp_path / "rig") == ["library", "wanted"]
    assert "apt-get update first" in apt.log()
    assert "apt-get update second" not in apt.log()


def test_unpack_debian_without_recursion_brings_the_named_packages_only(apt, tmp_path):
    assert unpack(tmp_path / "rig", recurse=False)
    assert names(tmp_path / "rig") == ["wanted"]


def test_unpack_debian_suite_out_of_sync_retries_then_takes_the_next(apt, tmp_path):
    apt.script(broken=["first"])
    assert unpack(tmp_path / "rig")
    assert [line for line in apt.log() if "update" in line] == ["apt-get update first"] * 3 + ["apt-get update second"]
    assert names(tmp_path / "rig") == ["library", "wanted"]


def test_unpack_debian_no_suite_works_leaves_no_folder_and_says_why(apt, tmp_path):
    apt.script(broken=SUITES)
    with pytest.raises(setup.SetupError, match="first: apt-get: .*Mirror sync in progress.*second: "):
        unpack(tmp_path / "rig")
    assert names(tmp_path) == ["apt"]


def test_unpack_debian_no_suite_works_keeps_what_was_there(apt, tmp_path):
    unpack(tmp_path / "rig")
    apt.script(broken=SUITES)
    with pytest.raises(setup.SetupError):
        unpack(tmp_path / "rig", packages=["wanted", "more"])
    assert names(tmp_path / "rig") == ["library", "wanted"]


def test_unpack_debian_same_pins_again_does_nothing(apt, tmp_path):
    unpack(tmp_path / "rig")
    asked = apt.log()
    assert not unpack(tmp_path / "rig")
    assert apt.log() == asked


def test_unpack_debian_changed_pins_unpacks_again(apt, tmp_path):
    unpack(tmp_path / "rig")
    (tmp_path / "rig" / "stale").touch()
    assert unpack(tmp_path / "rig", packages=["wanted", "more"], recurse=False)
    assert names(tmp_path / "rig") == ["more", "wanted"]


def test_unpack_debian_without_apt_names_the_missing_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.SetupError, match="this machine has no apt-get"):
        unpack(tmp_path / "rig")


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        pytest.param(["http://a/debian/|Debian|stable"], ["http://a/debian/"], id="debian"),
        pytest.param(["http://a/debian/|Debian|stable"] * 2, ["http://a/debian/"], id="twice"),
        pytest.param(
            ["http://a/debian-security/|Debian-Security|stable-security", "http://a/x/|Debian|stable"],
            ["http://a/x/"],
            id="security beside it",
        ),
        pytest.param(["http://b/node/|Node|nodistro", "http://a/debian|Debian|x"], ["http://a/debian"], id="foreign"),
        pytest.param(
            ["http://a/debian-security/|$(LABEL)|x-security", "http://a/debian/|$(LABEL)|x"],
            ["http://a/debian/"],
            id="no lists fetched yet",
        ),
    ],
)
def test_mirrors_of_machine_finds_the_debian_archive(apt, targets, found):
    apt.script(targets=targets)
    assert setup.PrivateApt.mirrors() == found


def test_mirrors_of_another_distribution_is_an_error(apt):
    apt.script(targets=["http://a/ubuntu/|Ubuntu|noble"])
    with pytest.raises(setup.SetupError, match="no Debian mirror"):
        setup.PrivateApt.mirrors()


FAKE_NPM = """#!{python}
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
(folder / "node_modules").mkdir()
with open(folder.parent / "log", "a") as log:
    print(*(word for word in sys.argv if "@" in word), file=log)
"""


@pytest.fixture
def npm(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("node", "npm"):
        (tools / name).write_text(FAKE_NPM.format(python=sys.executable))
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    return tmp_path / "npm"


def test_install_npm_asks_for_exact_versions_once(npm):
    assert setup.install_npm({"ws": "1.2.3", "other": "4.5.6"}, npm)
    assert not setup.install_npm({"ws": "1.2.3", "other": "4.5.6"}, npm)
    assert setup.install_npm({"ws": "1.2.4"}, npm)
    assert (npm.parent / "log").read_text() == "ws@1.2.3 other@4.5.6\nws@1.2.4\n"


@pytest.mark.parametrize("tool", ["node", "npm"])
def test_install_npm_without_a_tool_names_it(npm, tool):
    (npm.parent / "bin" / tool).unlink()
    with pytest.raises(setup.SetupError, match=f"this machine has no {tool}"):
        setup.install_npm({"ws": "1.2.3"}, npm)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A package of firmware that pip finds, and its requirement."""
    package = tmp_path / "packages"
    package.mkdir()
    metadata = "Metadata-Version: 2.1\nName: chips\nVersion: 1.0\n"
    with zipfile.ZipFile(package / "chips-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("chips/firmware/one.bin", b"one")
        archive.writestr("chips/program.py", "raise SystemExit")
        archive.writestr("chips-1.0.dist-info/METADATA", metadata)
        archive.writestr("chips-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("chips-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(package))
    return "chips==1.0"


def test_fetch_firmware_brings_the_bin_files_once(wheel, tmp_path):
    assert setup.fetch_firmware(wheel, tmp_path / "firmware")
    assert names(tmp_path / "firmware") == ["one.bin"]
    assert not setup.fetch_firmware(wheel, tmp_path / "firmware")


def test_fetch_firmware_unobtainable_leaves_no_folder_and_says_why(wheel, tmp_path):
    with pytest.raises(setup.SetupError, match="No matching distribution found for other==1.0"):
        setup.fetch_firmware("other==1.0", tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()


def test_unpack_stubs_brings_the_packages_once(wheel, tmp_path):
    assert setup.unpack_stubs([wheel], tmp_path / "stubs")
    assert (tmp_path / "stubs" / "chips" / "program.py").exists()
    assert not setup.unpack_stubs([wheel], tmp_path / "stubs")


def test_unpack_stubs_unobtainable_leaves_no_folder_and_says_why(wheel, tmp_path):
    with pytest.raises(setup.SetupError, match="No matching distribution found for other==1.0"):
        setup.unpack_stubs([wheel, "other==1.0"], tmp_path / "stubs")
    assert not (tmp_path / "stubs").exists()


@pytest.mark.parametrize("name", [name for name in (*rigs.INTERPRETERS, *rigs.SERVERS) if name not in rigs.missing()])
def test_probe_of_rig_tells_a_version(name):
    assert re.search(r"\d+\.\d+", setup.probe(name))


def test_fingerprint_of_changed_pins_differs():
    pins = setup.load_pins()["dependency-groups"]["dev"]
    assert setup.fingerprint(pins) == setup.fingerprint(list(pins))
    assert setup.fingerprint(pins) != setup.fingerprint([*pins, "another==1.0"])


def test_pins_name_one_exact_version_each():
    pins = setup.load_pins()
    groups = (pins["dependency-groups"], pins["tool"]["uwebsocket"]["stubs"])
    for requirement in (one for group in groups for requirements in group.values() for one in requirements):
        assert "==" in requirement
    for version in pins["tool"]["uwebsocket"]["npm"].values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert "==" in pins["tool"]["uwebsocket"]["firmware"]["package"]


def test_run_of_failing_command_tells_its_last_line():
    with pytest.raises(setup.SetupError, match="the cause$"):
        setup.run([sys.executable, "-c", "import sys; sys.exit('first line\\nthe cause')"])


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)], ids=["in CI", "at home"])
def test_main_rig_unobtainable_is_recorded_and_fails_only_in_ci(apt, tmp_path, monkeypatch, capsys, ci, code):
    apt.script(broken=["trixie", "testing", "sid"])
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(rigs, "RIGS", tmp_path / "rigs")
    monkeypatch.setattr(rigs, "LEFT_OUT", tmp_path / "rigs" / "left_out.json")
    monkeypatch.setattr(setup, "make_venv", lambda *_: False)
    monkeypatch.setattr(setup, "unpack_stubs", lambda *_: False)
    assert setup.main([]) == code
    assert "left out micropython32: trixie: " in capsys.readouterr().err
    assert "micropython32" in rigs.missing()
    with pytest.raises(rigs.RigMissing, match=r"micropython32 is not here: trixie.*\(try: make setup\)"):
        rigs.command("micropython32")
    assert "micropython32" not in rigs.available()


def test_command_of_unknown_rig_lists_the_known():
    with pytest.raises(ValueError, match="micropython64"):
        rigs.command("micropython16")


def test_missing_in_ci_is_nothing():
    if os.environ.get("CI") == "true":
        assert rigs.missing() == {}


@pytest.mark.parametrize("name", rigs.available())
def test_device_env_of_interpreter_imports_the_sources(name):
    program = "import sys; import uwebsocket_protocol; print(sys.implementation.name, uwebsocket_protocol.__file__)"
    done = subprocess.run(
        [*rigs.command(name), "-c", program], env=rigs.device_env(name), capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    implementation, path = done.stdout.split()
    assert implementation == ("cpython" if name == "cpython" else "micropython")
    assert Path(path).parent == rigs.DEVICE


def test_device_env_built_for_cpython_is_an_error():
    with pytest.raises(ValueError, match="CPython"):
        rigs.device_env("cpython", built=True)


def test_import_under_pytest_takes_micropython_from_the_shim():
    import micropython

    assert Path(micropython.__file__).parent == rigs.SHIM
