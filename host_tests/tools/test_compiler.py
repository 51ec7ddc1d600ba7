"""tools/common/compiler.py and tools/build.py: the .mpy files that a board gets."""

import subprocess

import pytest

import build
from common import compiler, rigs

MICROPYTHONS = [name for name in rigs.available() if name != "cpython"]


@pytest.fixture
def device(tmp_path, monkeypatch):
    """A project with two modules, a masker, an extra and a manifest."""
    monkeypatch.setattr(rigs, "DEVICE", tmp_path / "device")
    monkeypatch.setattr(rigs, "BUILD", tmp_path / "build")
    monkeypatch.setattr(rigs, "ROOT", tmp_path)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "one.py").write_text("NAME = 'one'\n")
    (tmp_path / "device" / "two.py").write_text("import one\nassert False\n")
    for extra in compiler.EXTRAS.values():
        (tmp_path / "device" / extra).write_text("import one\n")
    (tmp_path / "device" / "manifest.py").write_text("module('one.py')\n")
    (tmp_path / "device" / compiler.MASKER).write_text(
        "import micropython\n\n\n@micropython.viper\ndef first(data: ptr8) -> int:\n    return data[0]\n"
    )
    return tmp_path / "device"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_main_without_architecture_builds_the_portable_modules(device, tmp_path, capsys):
    assert build.main([]) == 0
    assert names(tmp_path / "build") == ["mpy", "mpy-extras"]
    assert names(tmp_path / "build" / "mpy") == ["one.mpy", "two.mpy"]
    extras = sorted(compiler.EXTRAS.values())
    assert names(tmp_path / "build" / "mpy-extras") == [extra.replace(".py", ".mpy") for extra in extras]
    assert "build/mpy/one.mpy" in capsys.readouterr().out


def test_main_with_architectures_builds_the_masker_of_each(device, tmp_path):
    assert build.main(["--arch", "xtensa", "--arch", "xtensawin"]) == 0
    assert names(tmp_path / "build") == ["mpy", "mpy-extras", "mpy-xtensa", "mpy-xtensawin"]
    assert names(tmp_path / "build" / "mpy-xtensa") == ["uwebsocket_mask.mpy"]


def test_main_dry_run_names_the_sources_and_builds_nothing(device, tmp_path, capsys):
    assert build.main(["--dry-run"]) == 0
    extras = [f"device/{extra}" for extra in compiler.EXTRAS.values()]
    assert capsys.readouterr().out.split() == ["device/one.py", "device/two.py", *extras]
    assert not (tmp_path / "build").exists()


def test_build_of_removed_module_removes_its_mpy(device, tmp_path):
    compiler.build_all()
    (device / "two.py").unlink()
    compiler.build_all()
    assert names(tmp_path / "build" / "mpy") == ["one.mpy"]


def test_main_syntax_error_fails_and_names_the_file(device, tmp_path, capsys):
    (device / "two.py").write_text("def\n")
    assert build.main([]) == 1
    assert "two.py" in capsys.readouterr().err
    assert not (tmp_path / "build" / "mpy" / "two.mpy").exists()


def test_compile_file_output_holds_no_path_of_this_machine(device, tmp_path):
    compiler.compile_file(device / "one.py", tmp_path / "one.mpy")
    content = (tmp_path / "one.mpy").read_bytes()
    assert b"one" in content and b"one.py" not in content
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("name", MICROPYTHONS)
def test_built_modules_on_interpreter_import_with_their_masker(device, name):
    compiler.build_all([rigs.arch(name)])
    program = "import two, uwebsocket_mask; print(two.one.NAME, uwebsocket_mask.first(b'*'))"
    env = rigs.device_env(name, built=True, masker=True)
    done = subprocess.run([*rigs.command(name), "-c", program], env=env, capture_output=True, text=True, timeout=30)
    assert (done.stdout.split(), done.stderr) == (["one", "42"], "")
