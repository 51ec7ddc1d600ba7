"""tools/common/install.py, tools/common/rigs.py and tools/setup.py: what comes from where, and what if that fails."""

import ast
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import setup
from common import install, rigs

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
    print(name, *(words if words[0] == "download" else words[:1]), suite or "", file=log)
if name == "dpkg":
    pathlib.Path(sys.argv[3], pathlib.Path(sys.argv[2]).stem.partition("_")[0]).touch()
elif words[0] == "indextargets":
    print("\\n".join(script["targets"]))
elif words[0] == "update" and suite in script["broken"]:
    sys.exit("E: File has unexpected size. Mirror sync in progress?")
elif words[0] == "depends":
    print("wanted\\n  Depends: library\\n |Depends: <virtual>\\n<virtual>\\n  library\\nlibrary")
elif words[0] == "madison":
    for package in words[1:]:
        for version in script["versions"].get(package, ()):
            print(f" {{package}} | {{version}} | http://mirror/debian {{suite}}/main i386 Packages")
elif words[0] == "download":
    for package in words[1:]:
        pathlib.Path(f"{{package.partition('=')[0]}}_1_i386.deb").write_text(package)
"""


class FakeApt:
    """A scripted apt on PATH, and the log of what it was asked."""

    def __init__(self, folder, monkeypatch):
        self._script = {
            "log": str(folder / "log"),
            "targets": ["http://mirror/debian/|Debian|stable"],
            "broken": [],
            "versions": {"wanted": ["1.2-3"], "library": ["4.5-6+deb1u2"]},
        }
        self._monkeypatch = monkeypatch
        tools = folder / "bin"
        tools.mkdir()
        for name in ("apt-get", "apt-cache", "dpkg"):
            path = tools / name
            path.write_text(FAKE_APT.format(python=sys.executable))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tools))
        monkeypatch.setattr(install, "_WAIT_S", 0)
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
    return install.unpack_debian(folder, "i386", SUITES, list(packages), **options)


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


@pytest.mark.parametrize("version", ["1.2-3", "1.2-*", "1.2*"], ids=["exact", "revision", "beginning"])
def test_unpack_debian_pinned_version_is_asked_for(apt, tmp_path, version):
    assert unpack(tmp_path / "rig", packages=[f"wanted={version}"], libraries=["library=4.5-6*"])
    assert names(tmp_path / "rig") == ["library", "wanted"]
    assert f"apt-get download library=4.5-6* wanted={version} first" in apt.log()


@pytest.mark.parametrize(
    ("pins", "text"),
    [
        ({"packages": ["wanted=1.2-4"]}, "wanted 1.2-4 is pinned and not there, but 1.2-3 "),
        ({"packages": ["wanted=1.3*"]}, "wanted 1.3* is pinned and not there, but 1.2-3 "),
        ({"libraries": ["library=4.5-6"]}, "library 4.5-6 is pinned and not there, but 4.5-6+deb1u2 "),
        ({"packages": ["other=1"]}, "other 1 is pinned and not there, nor any other "),
        (
            {"sha256": {"wanted": "0" * 64}},
            f"wanted_1_i386.deb has the SHA-256 {hashlib.sha256(b'wanted').hexdigest()}, pinned is 00",
        ),
    ],
    ids=["exact", "beginning", "library", "unknown", "hash"],
)
def test_unpack_debian_pin_that_cannot_be_had_names_what_is_there(apt, tmp_path, pins, text):
    with pytest.raises(install.InstallError) as raised:
        unpack(tmp_path / "rig", **pins)
    assert str(raised.value).startswith(f"suite first: {text}")
    assert not (tmp_path / "rig").exists()


def test_unpack_debian_package_with_the_pinned_hash_is_unpacked(apt, tmp_path):
    assert unpack(tmp_path / "rig", sha256={"wanted": hashlib.sha256(b"wanted").hexdigest()})


def test_unpack_debian_suite_out_of_sync_retries_then_takes_the_next(apt, tmp_path):
    apt.script(broken=["first"])
    assert unpack(tmp_path / "rig")
    assert [line for line in apt.log() if "update" in line] == ["apt-get update first"] * 3 + ["apt-get update second"]
    assert names(tmp_path / "rig") == ["library", "wanted"]


def test_unpack_debian_no_suite_works_leaves_no_folder_and_says_why(apt, tmp_path):
    apt.script(broken=SUITES)
    with pytest.raises(install.InstallError, match="first: apt-get: .*Mirror sync in progress.*second: "):
        unpack(tmp_path / "rig")
    assert names(tmp_path) == ["apt"]


def test_unpack_debian_no_suite_works_keeps_what_was_there(apt, tmp_path):
    unpack(tmp_path / "rig")
    apt.script(broken=SUITES)
    with pytest.raises(install.InstallError):
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
    with pytest.raises(install.InstallError, match="this machine has no apt-get"):
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
    assert install.PrivateApt.mirrors() == found


@pytest.fixture
def chromium(tmp_path, monkeypatch):
    """A package of npm with a Chromium in archives that a `node` of this test does not unpack, only copies."""

    def carry(packages, folder):
        carried = folder / "node_modules" / next(iter(packages)) / "bin"
        carried.mkdir(parents=True)
        (carried / "chromium.br").write_text("#!/bin/sh\necho Chromium\n")
        for name, inside in (("al2023", "lib"), ("fonts", "fonts")):
            with tarfile.open(carried / f"{name}.tar.br", "w") as archive:
                archive.addfile(tarfile.TarInfo(f"{inside}/of-{name}"))
        asked.append(packages)

    asked = []
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").write_text('#!/bin/sh\ncp "$3" "$4"\n')
    (tmp_path / "bin" / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(install, "install_npm", carry)
    return asked


def test_unpack_chromium_leaves_what_starts_beside_its_libraries_and_fonts(chromium, tmp_path):
    folder = tmp_path / "rigs" / "chromium"
    assert install.unpack_chromium("@one/browser", "1.2.3", folder)
    assert not install.unpack_chromium("@one/browser", "1.2.3", folder)
    assert chromium == [{"@one/browser": "1.2.3"}]
    assert install.run([str(folder / "chromium")]) == "Chromium\n"
    assert names(folder) == ["chromium", "fonts", "fonts.conf", "lib"]
    assert (names(folder / "lib"), names(folder / "fonts")) == (["of-al2023"], ["of-fonts"])
    assert names(folder.parent) == ["chromium"]


def test_mirrors_of_another_distribution_is_an_error(apt):
    apt.script(targets=["http://a/ubuntu/|Ubuntu|noble"])
    with pytest.raises(install.InstallError, match="no Debian mirror"):
        install.PrivateApt.mirrors()


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
    assert install.install_npm({"ws": "1.2.3", "other": "4.5.6"}, npm)
    assert not install.install_npm({"ws": "1.2.3", "other": "4.5.6"}, npm)
    assert install.install_npm({"ws": "1.2.4"}, npm)
    assert (npm.parent / "log").read_text() == "ws@1.2.3 other@4.5.6\nws@1.2.4\n"


@pytest.mark.parametrize("tool", ["node", "npm"])
def test_install_npm_without_a_tool_names_it(npm, tool):
    (npm.parent / "bin" / tool).unlink()
    with pytest.raises(install.InstallError, match=f"this machine has no {tool}"):
        install.install_npm({"ws": "1.2.3"}, npm)


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
    assert install.fetch_firmware(wheel, tmp_path / "firmware")
    assert names(tmp_path / "firmware") == ["one.bin"]
    assert not install.fetch_firmware(wheel, tmp_path / "firmware")


def test_fetch_firmware_unobtainable_leaves_no_folder_and_says_why(wheel, tmp_path):
    with pytest.raises(install.InstallError, match="No matching distribution found for other==1.0"):
        install.fetch_firmware("other==1.0", tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()


def test_unpack_wheels_brings_the_packages_once(wheel, tmp_path):
    assert install.unpack_wheels([wheel], tmp_path / "stubs")
    assert (tmp_path / "stubs" / "chips" / "program.py").exists()
    assert not install.unpack_wheels([wheel], tmp_path / "stubs")


def test_unpack_wheels_unobtainable_leaves_no_folder_and_says_why(wheel, tmp_path):
    with pytest.raises(install.InstallError, match="No matching distribution found for other==1.0"):
        install.unpack_wheels([wheel, "other==1.0"], tmp_path / "stubs")
    assert not (tmp_path / "stubs").exists()


@pytest.mark.parametrize("name", [name for name in (*rigs.INTERPRETERS, *rigs.SERVERS) if name not in rigs.missing()])
def test_probe_of_rig_tells_a_version(name):
    assert re.search(r"\d+\.\d+", rigs.probe(name))


def test_fingerprint_of_changed_pins_differs():
    pins = install.load_pins()["dependency-groups"]["base"]
    assert install.fingerprint(pins) == install.fingerprint(list(pins))
    assert install.fingerprint(pins) != install.fingerprint([*pins, "another==1.0"])


def test_pins_name_one_exact_version_each():
    pins = install.load_pins()
    groups = (pins["dependency-groups"], pins["tool"]["uwebsocket"]["stubs"])
    for requirement in (one for group in groups for requirements in group.values() for one in requirements):
        assert "==" in requirement
    tables = pins["tool"]["uwebsocket"]
    listed = [table[key] for table in tables["debian"].values() for key in ("packages", "libraries") if key in table]
    for package in (package for packages in (*listed, tables["autobahn"]["debian"]) for package in packages):
        assert re.fullmatch(r"[a-z0-9.+-]+=[0-9][^=]*", package)
    assert tables["micropython32"] in rigs.MICROPYTHONS32
    for version in rigs.MICROPYTHONS32:
        assert len(tables["debian"][f"micropython32-{version}"]["sha256"]["micropython"]) == 64
    for version in tables["npm"].values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert re.fullmatch(r"\d+\.\d+\.\d+", tables["chromium"]["version"])
    assert "==" in pins["tool"]["uwebsocket"]["firmware"]["package"]


def test_run_of_failing_command_tells_its_last_line():
    with pytest.raises(install.InstallError, match="the cause$"):
        install.run([sys.executable, "-c", "import sys; sys.exit('first line\\nthe cause')"])


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)], ids=["in CI", "at home"])
def test_main_rig_unobtainable_is_recorded_and_fails_only_in_ci(apt, tmp_path, monkeypatch, capsys, ci, code):
    apt.script(broken=["trixie", "testing", "sid"])
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(rigs, "RIGS", tmp_path / "rigs")
    monkeypatch.setattr(rigs, "LEFT_OUT", tmp_path / "rigs" / "left_out.json")
    monkeypatch.setattr(install, "make_venv", lambda *_: False)
    monkeypatch.setattr(install, "unpack_wheels", lambda *_: False)
    assert setup.main([]) == code
    assert "left out micropython32: suite " in capsys.readouterr().err
    assert "micropython32" in rigs.missing()
    with pytest.raises(rigs.RigMissing, match=r"micropython32 is not here: suite .*\(try: make setup\)"):
        rigs.command("micropython32")
    assert "micropython32" not in rigs.available()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A machine without rigs, and the list of what npm then was asked for."""
    asked = []
    monkeypatch.setattr(rigs, "RIGS", tmp_path / "rigs")
    monkeypatch.setattr(rigs, "LEFT_OUT", tmp_path / "rigs" / "left_out.json")
    monkeypatch.setattr(install, "install_npm", lambda packages, folder: bool(asked.append(packages)))
    return asked


def test_need_brings_the_named_rig_only(fresh, capsys):
    assert rigs.need("node") is None
    assert fresh == [rigs.PINS["tool"]["uwebsocket"]["npm"]]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("no npm", "node cannot be had: no npm (try: make setup RIGS=node)"),
        ("old (try: a new one)", "node cannot be had: old (try: a new one)"),
    ],
    ids=["plain", "with-remedy"],
)
def test_need_of_what_cannot_be_had_says_why_until_it_can(fresh, monkeypatch, reason, text):
    def refuse(*_):
        raise install.InstallError(reason)

    with monkeypatch.context() as broken:
        broken.setattr(install, "install_npm", refuse)
        with pytest.raises(rigs.RigMissing) as raised:
            rigs.need("node")
        assert str(raised.value) == text
        assert rigs.missing()["node"] == reason
    rigs.need("node")
    assert "node" not in rigs.missing()


@pytest.mark.parametrize("name", rigs.names())
def test_remedy_of_a_rig_is_a_command_that_brings_it(fresh, monkeypatch, capsys, name):
    brought = []
    monkeypatch.setattr(rigs, "bring", lambda names: brought.extend(names) or {})
    _, *words = rigs.remedy(name).removeprefix("make ").partition(" RIGS=")
    assert setup.main([word for word in words[1:] if word]) == 0
    assert name in brought and len(brought) <= len(rigs.BASE) + 1


def test_setup_of_a_named_rig_that_cannot_be_had_fails_at_home_too(monkeypatch, capsys):
    monkeypatch.setenv("CI", "")
    monkeypatch.setattr(rigs, "bring", lambda names: {"nginx": "no apt"})
    assert setup.main([]) == 0
    assert setup.main(["nginx"]) == 1
    assert "setup: left out nginx: no apt (try: make setup RIGS=nginx, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "version", "text"),
    [
        (["apache"], "1.25.0", "no rig is called apache (one of: all, cpython, "),
        ([], "1.24.1", "no MICROPYTHON32=1.24.1 is pinned (one of: 1.25.0, 1.26.1)"),
    ],
    ids=["rig", "micropython"],
)
def test_setup_of_what_is_not_pinned_is_a_usage_error(monkeypatch, capsys, arguments, version, text):
    monkeypatch.setattr(rigs, "MICROPYTHON32", version)
    with pytest.raises(SystemExit) as stopped:
        setup.main(arguments)
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err


def test_setup_on_an_old_python_says_which_is_needed():
    source = Path(setup.__file__).read_text()
    ast.parse(source, feature_version=(3, 6))
    program = f"import sys; sys.version_info = (3, 10, 13, 'final', 0); exec(compile({source!r}, 'setup.py', 'exec'))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ("setup: Python 3.11 or later is needed, this is 3.10 (try: make setup PYTHON3=python3.11)\n")


def test_command_of_unknown_rig_lists_the_known():
    with pytest.raises(ValueError, match="micropython64"):
        rigs.command("micropython16")


def test_missing_in_ci_is_nothing():
    if os.environ.get("CI") == "true":
        assert rigs.missing() == {}


@pytest.mark.parametrize("name", rigs.available())
def test_device_env_of_interpreter_imports_the_sources(name):
    program = "import sys; import _wsprotocol; print(sys.implementation.name, _wsprotocol.__file__)"
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
