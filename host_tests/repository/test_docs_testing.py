"""docs/testing.md, and the package that it is about: built from a clean copy, installed, and used as the page says."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from common import echo_server, rigs, wheels
from support import samples

PAGE = rigs.ROOT / "docs" / "testing.md"
_TIMEOUT_S = 300
# {name: text} of the page's Python blocks; the first line of each is its name.
FILES = {re.match(r"# (\w+\.py)\n", text)[1]: text for language, text in samples.blocks(PAGE) if language == "python"}


def _run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=_TIMEOUT_S, **options)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What pip gets: the files that the package is built of, and nothing that was made here."""
    folder = tmp_path_factory.mktemp("copy") / "project"
    for path in [*wheels.host_files().values(), *(rigs.ROOT / name for name in wheels.ABOUT)]:
        target = folder / path.relative_to(rigs.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder


@pytest.fixture(scope="module")
def python(copy, tmp_path_factory):
    """The Python of a fresh environment that the package was installed into; pytest comes from this one."""
    folder = tmp_path_factory.mktemp("venv") / "pc"
    assert _run(sys.executable, "-m", "venv", "--without-pip", folder).returncode == 0
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "pytest.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    done = _run(*pip, "install", "--no-index", copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


@pytest.fixture
def elsewhere(tmp_path):
    """An environment that knows of this tree no more than that of a user; tests run in `tmp_path`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MICROPY", "PYTEST"))}


def _pytest(python, folder, environment, *arguments):
    command = (python, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments)
    return _run(*command, cwd=folder, env=environment)


def test_package_built_twice_has_the_same_bytes_and_all_of_its_parts(copy, tmp_path):
    built = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        command = (sys.executable, "-c", f"from common import wheels; print(wheels.build_wheel({name!r}))")
        done = _run(*command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(copy / "tools")})
        built.append(tmp_path / name / done.stdout.strip())
    assert built[0].read_bytes() == built[1].read_bytes()
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert {name.partition("/")[0] for name in names} == {
        "uwebsocket_host",
        built[0].name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    device = {f"uwebsocket_host/micropython/{path.name}" for path in rigs.DEVICE.glob("*_*.py*")}
    shim = {f"uwebsocket_host/host_tests/shim/{path.name}" for path in rigs.SHIM.glob("*.py")}
    assert device | shim <= names


def test_package_from_its_source_archive_is_the_same(copy, tmp_path):
    program = "from common import wheels; print(wheels.build_sdist('.'), wheels.build_wheel('.'))"
    done = _run(sys.executable, "-c", program, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(copy / "tools")})
    archive, wheel = done.stdout.split()
    shutil.unpack_archive(tmp_path / archive, tmp_path)
    tools = tmp_path / archive.removesuffix(".tar.gz") / "tools"
    again = "from common import wheels; print(wheels.build_wheel('out'))"
    (tmp_path / "out").mkdir()
    _run(sys.executable, "-c", again, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tools)})
    assert (tmp_path / "out" / wheel).read_bytes() == (tmp_path / wheel).read_bytes()


def test_package_installed_leaves_no_name_but_its_own(python, elsewhere, tmp_path):
    packages = python.parents[1].glob("lib/python*/site-packages/*")
    mine = {path.name.partition("-")[0] for path in packages if "uwebsocket" in path.name}
    assert mine == {"uwebsocket_host"}
    for name in ("uwebsocket_client", "machine", "micropython", "utime", "fakes", "servers", "common"):
        program = f"import uwebsocket_host.plugin, uwebsocket_host.server; import {name}"
        done = _run(python, "-c", program, cwd=tmp_path, env=elsewhere)
        assert done.stderr.endswith(f"ModuleNotFoundError: No module named {name!r}\n"), name


# What an example prints on both
_ECHOED = ["text: hello!", "binary: b'\\x01\\x02\\x03'", "closed: 0"]


@pytest.mark.parametrize(
    "on", [[], ["--on", " ".join(rigs.command("micropython64"))]], ids=["cpython", "micropython64"]
)
def test_example_is_run_by_the_installed_package(python, elsewhere, tmp_path, on):
    source = (rigs.DEVICE / "examples" / "echo.py").read_text()
    with echo_server.running() as url:
        (tmp_path / "main.py").write_text(source.replace(samples.URL, url))
        done = _run(python, "-m", "uwebsocket_host", *on, "main.py", cwd=tmp_path, env=elsewhere)
    assert done.stdout.splitlines() == _ECHOED, done.stderr


def test_one_line_without_the_package_runs_an_example_on_micropython(tmp_path):
    (variable,) = re.findall(r"`MICROPYPATH=(\S+) micropython sensor\.py`", PAGE.read_text().replace("\n", " "))
    source = (rigs.DEVICE / "examples" / "echo.py").read_text()
    with echo_server.running() as url:
        (tmp_path / "main.py").write_text(source.replace(samples.URL, url))
        command = (*rigs.command("micropython64"), tmp_path / "main.py")
        done = _run(*command, cwd=rigs.ROOT, env=os.environ | {"MICROPYPATH": variable})
    assert done.stdout.splitlines() == _ECHOED, done.stdout + done.stderr


def test_tests_of_the_page_pass(python, elsewhere, tmp_path):
    for name, text in FILES.items():
        if name != "test_on_the_chip.py":
            (tmp_path / name).write_text(text)
    done = _pytest(python, tmp_path, elsewhere)
    assert re.search(r"^5 passed in ", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_tests_of_the_page_on_virtual_esp8266_pass(python, elsewhere, tmp_path):
    (tmp_path / "test_on_the_chip.py").write_text(FILES["test_on_the_chip.py"])
    done = _pytest(python, tmp_path, elsewhere | {"UWEBSOCKET_CHECKOUT": str(rigs.ROOT)})
    assert re.search(r"^1 passed in ", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.parametrize("named", [None, "/"], ids=["none", "another"])
def test_virtual_board_without_a_clone_is_refused_with_the_remedy(python, elsewhere, tmp_path, named):
    (tmp_path / "test_on_the_chip.py").write_text(FILES["test_on_the_chip.py"])
    done = _pytest(python, tmp_path, elsewhere | ({"UWEBSOCKET_CHECKOUT": named} if named else {}))
    what = f"{named} is no clone of the project" if named else "the virtual board is no part of this package"
    assert f"NoCheckout: {what} (try: clone the project" in done.stdout
    assert "1 error" in done.stdout


def test_tests_without_the_fixtures_load_nothing_of_the_package(python, elsewhere, tmp_path):
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\ndef test_own():\n"
        "    mine = [name for name in sys.modules if name.startswith(('uwebsocket', 'mp_', 'machine'))]\n"
        "    assert mine == ['uwebsocket_host', 'uwebsocket_host.plugin']\n"
    )
    assert re.search(r"^1 passed in ", _pytest(python, tmp_path, elsewhere).stdout, re.MULTILINE)


def test_program_without_an_end_is_ended_with_its_test(python, elsewhere, tmp_path):
    (tmp_path / "main.py").write_text("import os, time\nprint(os.getpid())\nwhile True:\n    time.sleep(1)\n")
    (tmp_path / "test_own.py").write_text(
        "def test_own(device_program):\n    open('pid', 'w').write(device_program('main.py').line())\n"
    )
    assert re.search(r"^1 passed in ", _pytest(python, tmp_path, elsewhere).stdout, re.MULTILINE)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
