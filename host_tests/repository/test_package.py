"""The packages of a release: what mip, pip and Thonny install from them is the client, complete and able to echo."""

import base64
import csv
import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

import dist
from common import compiler, echo_server, rigs, virtual_board
from servers import files, git_hosts

_TIMEOUT_S = 60
_TOP = "package.json"
_COMPILED = tuple(f"{form.folder}/package.json" for form in dist.FORMS)

_ECHO = """
import sys
sys.modules.pop("mip", None)
import uwebsocket_client as websocket

ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello"))
ws.on("receive", lambda ws, message, opcode: (print(websocket.__file__, message), ws.close()))
ws.connect({url!r})
while ws.poll(1000):
    pass
"""


@pytest.fixture(scope="module")
def release():
    """What a release holds: {name: bytes}."""
    return dist.contents()


@pytest.fixture(scope="module")
def site(release):
    """A web server that offers an unpacked release."""
    with files.running({f"/{name}": data for name, data in release.items()}) as site:
        yield site


@pytest.fixture(scope="module")
def wheels(release, tmp_path_factory):
    """The folder of the wheels of a release."""
    folder = tmp_path_factory.mktemp("wheels")
    dist.write_wheels(release, folder)
    return folder


@pytest.fixture
def flash(tmp_path):
    """The empty flash of a virtual board."""
    return tmp_path / "flash"


@pytest.fixture
def mpremote(flash, request):
    """Run mpremote on a virtual board, by default on the interpreter nearest to one; gives what it says."""
    with virtual_board.running("ESP32_GENERIC", flash, rig=getattr(request, "param", None)) as virtual:

        def run(*arguments, env=None):
            command = [str(rigs.VENV / "bin" / "mpremote"), "connect", virtual.port, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=env)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        yield run


def _urls(text):
    return json.loads(text)["urls"]


def _names(suffix, masker):
    stems = [path.stem for path in compiler.sources()] + [compiler.MASKER.partition(".")[0]] * masker
    return sorted(f"{stem}{suffix}" for stem in stems)


def test_package_at_the_top_names_the_compiled_modules_and_the_version(release):
    assert sorted(target for target, _ in _urls(release[_TOP])) == _names(".mpy", masker=False)
    assert json.loads(release[_TOP])["version"] == dist.version()


def test_no_package_has_plain_files_which_would_hide_the_compiled_ones(release):
    packages = [name for name in release if name.endswith(".json")]
    assert len(packages) == (len(dist.FORMS) + 1) * (1 + len(dist.EXTRA_PACKAGES))
    assert [target for name in packages for target, _ in _urls(release[name]) if target.endswith(".py")] == []


@pytest.mark.parametrize("form", dist.FORMS, ids=lambda form: form.folder)
def test_package_of_compiled_modules_names_each_and_the_masker(form, release):
    package = json.loads(release[f"{form.folder}/package.json"])
    assert sorted(target for target, _ in package["urls"]) == _names(".mpy", masker=bool(form.march))
    assert package["version"] == dist.version()


@pytest.mark.parametrize("folder", ["", *(f"{form.folder}/" for form in dist.FORMS)])
def test_package_of_an_extra_names_its_module_alone(folder, release):
    assert _urls(release[f"{folder}package-asyncio.json"])[0][0] == "uwebsocket_asyncio.mpy"
    assert len(_urls(release[f"{folder}package-asyncio.json"])) == 1


@pytest.mark.parametrize("name", (_TOP, *_COMPILED, *dist.EXTRA_PACKAGES.values()))
def test_package_of_a_release_refers_to_files_beside_it(name, release):
    folder = name.rpartition("/")[0]
    for target, url in _urls(release[name]):
        assert url.rpartition("/")[2] == target
        assert f"{folder}/{url}".lstrip("/") in release


@pytest.mark.parametrize("name", (_TOP, *_COMPILED))
def test_package_cut_off_anywhere_leaves_no_client(name, release):
    assert _urls(release[name])[-1][0].startswith("uwebsocket_client.")


def _echo(mpremote):
    with echo_server.running() as url:
        return mpremote("exec", _ECHO.format(url=url))


_INSTALLED = {"package.json": "/lib/uwebsocket_client.mpy", "mpy-6/package.json": "/lib/uwebsocket_client.mpy"}
_EACH = pytest.mark.parametrize(("name", "client"), _INSTALLED.items(), ids=["top", "folder"])


@_EACH
def test_client_installed_from_a_server_echoes(name, client, site, mpremote):
    assert mpremote("mip", "install", f"{site.url}/{name}").endswith("Done\n")
    assert _echo(mpremote) == f"{client} hello\n"


_GIT_HOSTS = {
    "github:owner/repository": "https://raw.githubusercontent.com/owner/repository/HEAD",
    "github:owner/repository@v1": "https://raw.githubusercontent.com/owner/repository/v1",
    "gitlab:owner/repository": "https://gitlab.com/owner/repository/-/raw/HEAD",
}


@pytest.mark.parametrize(("package", "address"), _GIT_HOSTS.items(), ids=list(_GIT_HOSTS))
def test_client_installed_from_a_git_host_echoes(package, address, release, mpremote, tmp_path):
    pages = {f"{address}/{name}": data for name, data in release.items()}
    with git_hosts.running(pages, tmp_path) as hosts:
        assert mpremote("mip", "install", package, env=hosts.environment).endswith("Done\n")
    assert hosts.asked[0] == f"{address}/package.json"
    assert _echo(mpremote) == "/lib/uwebsocket_client.mpy hello\n"


@_EACH
def test_client_installed_from_a_folder_echoes(name, client, release, mpremote, tmp_path):
    dist.write_folder(release, tmp_path / "release")
    assert mpremote("mip", "install", str(tmp_path / "release" / name)).endswith("Done\n")
    assert _echo(mpremote) == f"{client} hello\n"


@pytest.fixture
def whole_site():
    """A web server that offers a release which knows its address."""
    with files.running({}) as site:
        site.pages |= {f"/{name}": data for name, data in dist.contents(site.url).items()}
        yield site


# The 32-bit interpreter is Debian's 1.25, whose mip knows no relative addresses.
@_EACH
def test_client_installed_by_firmware_1_25_from_the_release_with_an_address_echoes(name, client, whole_site, mpremote):
    assert mpremote("exec", f"import mip; mip.install('{whole_site.url}/{name}')").endswith("Done\n")
    assert _echo(mpremote) == f"{client} hello\n"


@pytest.mark.parametrize("mpremote", ["micropython64"], indirect=True)
@_EACH
def test_client_installed_by_the_board_itself_echoes(name, client, site, mpremote):
    assert mpremote("exec", f"import mip; mip.install('{site.url}/{name}')").endswith("Done\n")
    assert _echo(mpremote) == f"{client} hello\n"


def test_client_installed_once_more_replaces_the_old(site, flash, mpremote):
    (flash / "lib").mkdir(parents=True)
    (flash / "lib" / "uwebsocket_client.mpy").write_bytes(b"an old one")
    mpremote("mip", "install", f"{site.url}/mpy-6/")  # as users write it: mip adds the file's name
    assert _echo(mpremote) == "/lib/uwebsocket_client.mpy hello\n"


def _thonny(wheels, name, folder, mpremote):
    """Install a package as Thonny does: by pip into a folder, then onto the board what RECORD names, and METADATA."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-compile"]
    command = [*pip, "--quiet", "--find-links", str(wheels), "--target", str(folder), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        about = record.parent.name
        if "lib" not in _listed(mpremote, ""):
            mpremote("mkdir", ":lib")
        mpremote("mkdir", f":lib/{about}")
        with record.open() as lines:
            rows = [row[0] for row in csv.reader(lines)]
        names = [one for one in rows if one.partition("/")[0] != about or one == f"{about}/METADATA"]
        copies = [word for one in names for word in ("+", "cp", str(folder / one), f":lib/{one}")]
        mpremote(*copies[1:])


def _listed(mpremote, folder):
    return set(mpremote("exec", f"import os; print(*os.listdir('/{folder}'))").split())


def test_client_installed_as_thonny_does_echoes(wheels, tmp_path, mpremote):
    _thonny(wheels, "micropython-uwebsocket-client", tmp_path / "target", mpremote)
    about = f"micropython_uwebsocket_client-{dist.version()}.dist-info"
    assert _listed(mpremote, "lib") == {*_names(".mpy", masker=False), about}
    assert _echo(mpremote) == "/lib/uwebsocket_client.mpy hello\n"


def test_extra_installed_as_thonny_does_brings_the_client(wheels, tmp_path, mpremote):
    _thonny(wheels, "micropython-uwebsocket-asyncio", tmp_path / "target", mpremote)
    assert "uwebsocket_asyncio.mpy" in _listed(mpremote, "lib")
    assert _echo(mpremote) == "/lib/uwebsocket_client.mpy hello\n"


def test_wheels_hold_what_mip_installs_in_its_order(wheels, release):
    for wheel in sorted(wheels.glob("micropython_*.whl")):
        extra = wheel.name.split("-")[0].rpartition("_")[2]
        package = _urls(release[dist.EXTRA_PACKAGES.get(extra, _TOP)])
        with zipfile.ZipFile(wheel) as archive:
            modules = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
        assert list(modules.items()) == [(target, release[url]) for target, url in package]


def test_record_of_a_wheel_has_the_hash_and_size_of_each_file(wheels):
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        about = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
        rows = {
            name: (digest, size) for name, digest, size in csv.reader(files[f"{about}/RECORD"].decode().splitlines())
        }
        assert rows.pop(f"{about}/RECORD") == ("", "")
        del files[f"{about}/RECORD"]
        hashes = {name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for name, data in files.items()}
        assert rows == {
            name: (f"sha256={hashes[name].decode().rstrip('=')}", str(len(data))) for name, data in files.items()
        }


def test_metadata_that_comes_onto_the_board_is_short(wheels):
    for wheel in wheels.glob("micropython_*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
            assert len(archive.read(metadata)) < 400
