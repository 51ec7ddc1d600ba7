"""tools/deploy.py: the client on a board, whatever happens on the way."""

import contextlib
import functools
import hashlib
import re
import types

import pytest

import deploy
from common import boards, compiler, deployment, payload, remote_board, rigs
from common.remote_board import RemoteError
from fakes import flash_board

MICROPYTHONS = [name for name in rigs.available() if name != "cpython"]
INTERPRETER = MICROPYTHONS[-1]  # the 32-bit one where it is here
URL = "ws://192.168.1.7:8080/"
MODULES = len(compiler.sources()) + 1  # and the masker

# A client of two modules, which tells when they do not belong together.
CLIENT = "import _wsurl\nprint('client', {0}, _wsurl.VERSION)\n"
PART = "VERSION = {0}\nTEXT = '" + "so many words that the file needs several writes, " * 16 + "'\n"


def options(**chosen):
    """Return the options of a deploy."""
    return deployment.Options(**chosen)


class Case:
    """A board, and what a deploy to it said."""

    def __init__(self, folder, **board):
        self.board = flash_board.FlashBoard(folder, INTERPRETER, **board)
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.said = []

    def run(self, **chosen):
        self.said.clear()
        self.board.resets.clear()
        deployment.Deployment(self.board, options(**chosen), self.scratch, self.said.append).run()

    def fails(self, text, error=deployment.DeployError, **chosen):
        """Deploy, which must fail with a text that ends in a remedy, and must leave the board as it is."""
        before = self.board.image()
        with pytest.raises(error, match=text) as failure:
            self.run(**chosen)
        assert str(failure.value).count("(try: ") == 1 and str(failure.value).endswith(")")
        assert "\n" not in str(failure.value)
        assert self.board.image() == before

    def modules(self, folder="/lib"):
        """Return {name: SHA-256} of a folder."""
        return {name: sha for name, (_, sha) in self.board.files(folder).items()}

    def fill(self, left):
        """Write a file that leaves so many blocks of the flash."""
        free = int(self.board.exec("import os\nprint(os.statvfs('/')[3])"))
        self.board.write("/data", bytes(free - left << 12))

    def lines(self, word):
        return [line for line in self.said if line.startswith(word)]


@functools.cache
def compiled(*architectures, build_all=compiler.build_all):
    return build_all(architectures)


@pytest.fixture(autouse=True)
def compile_once(monkeypatch):
    """Let these many deploys compile but once."""
    monkeypatch.setattr(compiler, "build_all", lambda architectures=(): list(compiled(*architectures)))


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.fixture
def client():
    """The files of the whole client for the boards of these tests: {name: path}."""
    return {path.name: path for path in compiled(rigs.arch(INTERPRETER))}


def digests(client):
    return {name: payload.digest(path) for name, path in client.items()}


def test_deploy_to_a_new_board_copies_and_measures(case, client):
    case.run()
    assert case.modules() == digests(client)
    assert case.board.files("/") == {}
    assert case.said[:2] == [
        "virtual board, MicroPython 1.29.0",
        f"{MODULES} modules, compiled, masking in machine code for {rigs.arch(INTERPRETER)}",
    ]
    assert len(case.lines("copy /lib/")) == MODULES
    assert case.said[-1].startswith("heap: ")
    assert case.board.resets == ["hard", "hard"]  # for the measurement, and at the end


def test_deploy_with_an_extra_copies_it_and_without_takes_it_away(case, client):
    case.run(extras=("asyncio",))
    assert set(case.modules()) == set(client) | {"uwebsocket_asyncio.mpy"}
    case.run()
    assert case.modules() == digests(client)


def test_deploy_of_an_example_without_its_extra_says_how_to_have_it(capsys):
    with pytest.raises(SystemExit) as ended:
        deploy.main(["--example", "sensor_asyncio"])
    assert ended.value.code == 2
    assert "--example sensor_asyncio: it needs an extra (try: --with asyncio)" in capsys.readouterr().err


def test_deploy_again_copies_nothing(case):
    case.run()
    before = case.board.image()
    case.run()
    assert case.board.image() == before
    assert case.lines("copy") == case.lines("remove") == []


def test_deploy_to_another_port_than_esp8266_resets_softly_to_measure(tmp_path):
    case = Case(tmp_path, platform="esp32", machine="Generic ESP32 module with ESP32")
    case.run()
    assert case.board.resets == ["soft", "hard"]


def test_deploy_to_a_board_whose_main_goes_on_after_the_reset_interrupts_it_again(case, monkeypatch):
    left = ["no answer"]
    execute = case.board.exec

    def deaf_once_after_reset(program, **options):
        if case.board.resets and left:
            raise RemoteError(f"{left.pop()} (try: its reset button)")
        return execute(program, **options)

    monkeypatch.setattr(case.board, "exec", deaf_once_after_reset)
    case.run()
    assert left == [] and case.said[-1].startswith("heap: ")


def test_deploy_with_one_module_changed_copies_that(case):
    case.run()
    case.board.write("/lib/_wsurl.mpy", b"something else")
    case.run()
    assert [line.split()[1] for line in case.lines("copy")] == ["/lib/_wsurl.mpy,"]


def test_deploy_over_plain_files_removes_them_and_keeps_those_of_others(case, client):
    case.run(source=True)
    others = {"/lib/other.py": b"1", "/data.new": b"2", "/uwebsocket_mine.py": b"3"}
    for path, data in others.items():
        case.board.write(path, data)
    for path in ("/_wsurl.py", "/uwebsocket_client.mpy", "/lib/_wsurl.mpy.new", "/main.py.new"):
        case.board.write(path, b"stale")
    case.run()
    assert case.modules() == digests(client) | {"other.py": hashlib.sha256(b"1").hexdigest()}
    assert set(case.board.files("/")) == {"data.new", "uwebsocket_mine.py"}


def test_deploy_of_plain_files_replaces_the_compiled_ones(case):
    case.run()
    case.run(source=True)
    assert set(case.modules()) == {path.name for path in compiler.sources()}
    assert case.said[1].startswith(f"{MODULES - 1} modules, plain .py")


def test_deploy_dry_changes_nothing_and_says_what_would_be_done(case):
    case.board.write("/lib.txt", b"")
    case.board.write("/_wsurl.py", b"")
    before = case.board.image()
    case.run(dry_run=True, example="echo")
    assert case.board.image() == before and case.board.resets == []
    assert len(case.lines("copy")) == MODULES + 1 and case.lines("remove") == ["remove /_wsurl.py"]


def test_deploy_of_machine_code_that_does_not_load_takes_it_away(tmp_path, client):
    case = Case(tmp_path, march="xtensa")
    case.run()
    assert payload.MASKER in client and set(case.modules()) == set(client) - {payload.MASKER}
    assert case.lines("the machine code is removed again, the board cannot load it: ValueError('incompatible .mpy")
    assert case.said[-1].startswith("heap: ")


def test_deploy_to_firmware_with_older_machine_code_leaves_that_out(tmp_path, client):
    case = Case(tmp_path, mpy=(6, 2, 0))
    case.run()
    assert set(case.modules()) == set(client) - {payload.MASKER}


@pytest.mark.parametrize("version", [(1, 21, 0), (1, 9, 4), (0, 9)])
def test_deploy_to_old_firmware_is_refused(tmp_path, version):
    case = Case(tmp_path, version=version, version_text=".".join(map(str, version)))
    case.fails(r"MicroPython .* is too old, the client needs 1\.22 \(try: make flash\)")


def test_deploy_to_an_unknown_platform_needs_the_oldest_of_all_boards(tmp_path):
    case = Case(tmp_path, platform="rp2", version=(1, 22, 0))
    case.run()


def test_deploy_to_a_full_flash_is_refused_before_anything_changes(tmp_path):
    case = Case(tmp_path, blocks=MODULES)
    case.fails(r"the flash is full: \d+ KiB to copy, \d+ KiB free")
    assert case.modules() == {}


def test_deploy_to_a_flash_with_little_room_goes_file_by_file(tmp_path, client):
    case = Case(tmp_path, blocks=40)
    case.run()
    for name, path in client.items():
        case.board.write(f"/lib/{name}", path.read_bytes() + b"\0")
    case.fill(4)
    case.run()
    assert case.modules() == digests(client)
    assert len(case.lines("copy")) == MODULES


def test_deploy_that_finds_the_flash_full_leaves_the_old_client(case, client, monkeypatch):
    case.run()
    before = {name: path.read_bytes() + b"\0" for name, path in client.items()}
    for name, data in before.items():
        case.board.write(f"/lib/{name}", data)
    case.fill(4)
    monkeypatch.setattr(deployment, "parts", lambda copies, *_: [list(copies)])  # as if there were room
    with pytest.raises(RemoteError, match="28|ENOSPC"):
        case.run()
    assert case.modules() == {name: hashlib.sha256(data).hexdigest() for name, data in before.items()}


def test_deploy_of_damaged_bytes_replaces_nothing(case, client, monkeypatch):
    write = case.board.write
    monkeypatch.setattr(case.board, "write", lambda path, data: write(path, data.replace(b"websocket", b"webs\0cket")))
    with pytest.raises(deployment.DeployError, match=r"not as it was sent: /lib/.*\(try: make deploy again"):
        case.run()
    assert not set(case.modules()) & set(client)


def test_deploy_without_a_file_system_is_refused(case, monkeypatch):
    monkeypatch.setattr(deployment, "_ROOM", "print((0, 0))")
    case.fails(r"no file system \(try: make flash with another variant\)")


def test_deploy_to_a_board_that_answers_nothing_is_refused(case, monkeypatch):
    monkeypatch.setattr(deployment, "_ROOM", "print('busy')")
    case.fails(r"does not answer what it is asked \(try: make repl, and Ctrl-C there\)")


def test_deploy_of_a_client_that_does_not_import_fails(case, client, monkeypatch):
    monkeypatch.setattr(payload, "client", lambda *_: ({"uwebsocket_client.mpy": client["uwebsocket_client.mpy"]}, ""))
    with pytest.raises(
        deployment.DeployError, match=r"cannot import the client: ImportError.*\(try: make deploy again"
    ):
        case.run()


def test_deploy_of_a_client_too_large_for_the_heap_names_the_remedies(case):
    with pytest.raises(deployment.DeployError, match=r"cannot import .*MemoryError.*\(try: --romfs, or --freeze\)"):
        deployment.Deployment(case.board, options(), case.scratch, print)._judge(
            deployment.Heap(1, 1, False, "", "MemoryError('memory allocation failed')", "")
        )


HIDDEN = {
    "rom": ("/rom/lib/uwebsocket_client.mpy", "--romfs"),
    "frozen": ("uwebsocket_client.py", "a firmware without it"),
}


@pytest.mark.parametrize(("path", "remedy"), HIDDEN.values(), ids=HIDDEN)
def test_deploy_below_another_client_says_which_is_used(case, path, remedy):
    with pytest.raises(deployment.DeployError, match=rf"imports {path}, which comes before /lib \(try: {remedy}\)"):
        deployment.Deployment(case.board, options(), case.scratch, print)._judge(
            deployment.Heap(9, 1, False, path, "", "")
        )


def test_deploy_beside_a_running_main_says_what_is_left(case):
    said = []
    heap = deployment.Heap(9000, 8000, True, "/lib/uwebsocket_client.mpy", "", "")
    deployment.Deployment(case.board, options(), case.scratch, said.append)._judge(heap)
    assert said == ["heap: 8000 B free beside main.py, which has imported the client already"]


# Settings: boot.py, wifi.json, main.py


@pytest.fixture
def wifi(tmp_path):
    path = tmp_path / "my-wifi.json"
    path.write_text('{"ssid": "home", "password": "secret"}')
    return path


def test_wifi_to_a_new_board_puts_boot_file_and_credentials(case, wifi):
    case.board.write("/boot.py", b"# of the firmware\nimport gc\ngc.collect()\n")
    case.run(wifi=wifi)
    assert case.board.read("/boot.py") == boards.BOOT.read_text()
    assert case.board.read("/wifi.json") == wifi.read_text()
    wifi.write_text('{"ssid": "work", "password": "secret"}')
    case.run(wifi=wifi)
    assert case.lines("copy") == [f"copy /wifi.json, {wifi.stat().st_size} B"]


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_file_of_a_user_is_kept_unless_forced(case, wifi, name):
    case.board.write(f"/{name}", b"print('mine')\n")
    chosen = {"wifi": wifi, "example": "echo"}
    case.fails(rf"the board has a {name} of its own, which stays \(try: --force to replace it\)", **chosen)
    case.run(force=True, **chosen)
    assert case.board.read(f"/{name}") != "print('mine')\n"


def test_example_with_url_becomes_main_and_may_be_replaced_by_another(case):
    case.run(example="echo", url=URL)
    assert case.board.read("/main.py") == payload.example("echo", URL)
    case.run(example="ping")
    assert case.board.read("/main.py") == payload.example("ping")


def test_main_of_a_user_stays_without_example(case):
    case.board.write("/main.py", b"print('mine')\n")
    case.run()
    assert case.board.read("/main.py") == "print('mine')\n"


def test_wifi_that_still_names_the_network_of_the_example_is_told(case, tmp_path):
    path = tmp_path / "wifi.json"
    path.write_text(boards.WIFI_EXAMPLE.read_text())
    case.run(wifi=path)
    assert case.lines("warning:") == ["warning: wifi.json names the network of the example (try: write yours in)"]


def test_example_without_url_is_told_whom_it_talks_to(case):
    case.run(example="echo")
    told = 'warning: echo talks to "ws://192.168.1.10:8080/" (try: --url with your server)'
    assert case.lines("warning:") == [told]
    case.run(example="echo", url=URL)
    assert case.lines("warning:") == []


# Files of the user


def test_own_files_and_folders_are_copied_and_those_of_others_stay(case, tmp_path, client):
    for name in ("ca.pem", "drivers/sensor.py", "drivers/one/two/data.txt", "drivers/__pycache__/sensor.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    case.board.exec("import os\nos.mkdir('/lib')")
    case.board.write("/lib/other.py", b"1")
    chosen = {"files": (tmp_path / "ca.pem",), "libs": (tmp_path / "drivers",)}
    case.run(**chosen)
    assert case.board.read("/ca.pem") == "ca.pem"
    assert case.board.read("/lib/one/two/data.txt") == "drivers/one/two/data.txt"
    assert set(case.modules()) == {"sensor.py", "other.py", *client}
    case.run(**chosen)
    assert case.lines("copy") == []


def test_own_main_is_kept_unless_forced(case, tmp_path):
    case.board.write("/main.py", b"print('mine')\n")
    (tmp_path / "main.py").write_text("print('new')\n")
    case.fails("the board has a main.py of its own", files=(tmp_path / "main.py",))
    case.run(files=(tmp_path / "main.py",), force=True)
    assert case.board.read("/main.py") == "print('new')\n"


OWN = {
    "no_file": ({"files": ("nothing.pem",)}, r"nothing\.pem is no file \(try: --file with "),
    "no_folder": ({"libs": ("_wsurl.py",)}, r"_wsurl\.py is no folder \(try: --lib with "),
    "a_name_of_the_client": ({"files": ("_wsurl.py",)}, r"_wsurl\.py is a file of the client's own"),
}


@pytest.mark.parametrize(("chosen", "text"), OWN.values(), ids=OWN)
def test_own_files_that_cannot_be_given_are_refused(chosen, text, case, tmp_path):
    (tmp_path / "_wsurl.py").write_text("")
    given = {option: tuple(tmp_path / name for name in names) for option, names in chosen.items()}
    case.fails(text, payload.PayloadError, **given)


# Heaps too small for plain files


@pytest.mark.parametrize("march", ["x86", "x64"])
def test_plain_files_to_a_small_heap_are_refused_before_anything_is_touched(tmp_path, march):
    needed = 52 * (2 if march == "x64" else 1)
    case = Case(tmp_path, heap=(needed << 10) - 1, march=march)
    case.board.write("/main.py", b"print('mine')\n")
    case.fails(rf"takes a heap of {needed} KiB, this board has {needed - 1} \(try: without --source\)", source=True)


def test_plain_files_to_a_small_heap_of_firmware_without_mpy_are_refused(tmp_path):
    case = Case(tmp_path, heap=37 << 10, mpy=None)
    case.fails(r"this board has 37 \(try: make flash, with a variant that loads \.mpy\)")


# The power fails at any moment


def two_modules(folder, version, end="py"):
    """Return the files of the client of two modules."""
    folder.mkdir(exist_ok=True)
    files = {}
    for name, text in (("_wsurl", PART), ("uwebsocket_client", CLIENT)):
        source = folder / f"{name}.py"
        source.write_text(text.format(version))
        files[f"{name}.{end}"] = source
        if end == "mpy":
            files[f"{name}.mpy"] = folder / f"{name}.mpy"
            compiler.compile_file(source, folder / f"{name}.mpy")
    return files


def imported(board):
    return board.exec("import uwebsocket_client").split()


# How the client was and becomes, the blocks of the flash, and after how many writes its modules are of two versions.
KINDS = {
    "same_names": ("py", "py", 64, False, 1),
    "little_room": ("py", "py", 8, False, 3),
    "compiled_over_plain": ("py", "mpy", 64, False, 1),
    "plain_over_compiled": ("mpy", "py", 64, False, 1),
    "romfs": ("mpy", "mpy", 64, True, 2),
}


@pytest.mark.parametrize(("old", "new", "blocks", "romfs", "mixed"), KINDS.values(), ids=KINDS)
def test_power_failing_at_any_write_leaves_a_client_and_the_next_deploy_repairs(
    tmp_path, monkeypatch, old, new, blocks, romfs, mixed
):
    case = Case(tmp_path, blocks=blocks, rom_blocks=8 * romfs)
    given = two_modules(tmp_path / "old", 1, old)
    monkeypatch.setattr(payload, "client", lambda *_: (given, ""))
    case.run(romfs=romfs)
    given = two_modules(tmp_path / "new", 2, new)
    start = case.board.image()
    found = []
    while True:
        case.board.restore(start)
        case.board.left = len(found) + 1
        with contextlib.suppress(RemoteError):
            case.run(example="echo", romfs=romfs)
        if case.board.left:
            break
        case.board.left = -1
        found.append(" ".join(imported(case.board)))
        case.run(example="echo", romfs=romfs)
        assert case.modules("/rom/lib" if romfs else "/lib") == digests(given)
        assert case.board.read("/main.py") == payload.example("echo")
        assert set(case.board.files("/")) == {"main.py"}
    assert len(found) > 20
    assert found[0] == "client 1 1" and found[-1] == "client 2 2"
    assert len(found) - found.count("client 1 1") - found.count("client 2 2") == mixed


# ROMFS


@pytest.fixture
def rom_case(tmp_path):
    return Case(tmp_path, rom_blocks=8)


def test_romfs_deploy_moves_the_client_there_and_takes_less_heap(rom_case, client):
    rom_case.run()
    before = rom_case.said[-1]
    rom_case.run(romfs=True)
    assert rom_case.modules("/rom/lib") == digests(client)
    assert rom_case.modules() == rom_case.board.files("/") == {}
    assert heap_used(rom_case.said[-1]) < heap_used(before) * 3 // 4


def heap_used(line):
    return int(re.search(r"import uwebsocket_client: (\d+) B", line)[1])


def test_romfs_deploy_again_writes_nothing(rom_case):
    rom_case.run(romfs=True)
    before = rom_case.board.image()
    rom_case.run(romfs=True)
    assert rom_case.board.image() == before
    assert rom_case.lines("write") == rom_case.lines("copy") == []


def test_romfs_deploy_dry_changes_nothing(rom_case):
    before = rom_case.board.image()
    rom_case.run(romfs=True, dry_run=True)
    assert rom_case.board.image() == before
    assert len(rom_case.lines("write the ROMFS")) == 1


def test_romfs_deploy_of_machine_code_that_does_not_load_takes_it_away(tmp_path, client):
    case = Case(tmp_path, rom_blocks=8, march="xtensa")
    case.run(romfs=True)
    assert set(case.modules("/rom/lib")) == set(client) - {payload.MASKER}


def test_romfs_deploy_without_one_is_refused(case):
    case.fails(r"no ROMFS \(try: make flash with a ROMFS variant, or without --romfs\)", romfs=True)


def test_romfs_deploy_to_one_too_small_is_refused(tmp_path):
    case = Case(tmp_path, rom_blocks=4)
    case.fails(r"the ROMFS has 16384 B, the client needs \d+ B \(try: without --romfs\)", romfs=True)


def test_romfs_with_files_of_others_is_kept_unless_forced(rom_case, tmp_path, client):
    (tmp_path / "others" / "lib").mkdir(parents=True)
    (tmp_path / "others" / "font.bin").write_bytes(b"1")
    image = tmp_path / "others.romfs"
    rom_case.board.mpremote("romfs", "--no-mpy", "--output", str(image), "build", str(tmp_path / "others"))
    rom_case.board.mpremote("romfs", "deploy", str(image))
    rom_case.fails(r"the ROMFS also holds font\.bin, which would be lost \(try: --force\)", romfs=True)
    rom_case.run(romfs=True, force=True)
    assert rom_case.modules("/rom/lib") == digests(client) and rom_case.board.files("/rom") == {}


def test_deploy_to_lib_with_the_client_in_romfs_says_which_is_used(rom_case):
    rom_case.run(romfs=True)
    with pytest.raises(
        deployment.DeployError, match=r"imports /rom/lib/uwebsocket_client.mpy, which comes before /lib"
    ):
        rom_case.run()


# The command


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Let the command find boards by name instead of on serial ports; "gone" is none."""
    cases = {}

    @contextlib.contextmanager
    def find(port, board=None):
        if port == "gone":
            raise RemoteError("no board on gone (try: make ports)")
        folder = tmp_path / str(port)
        if port not in cases:
            folder.mkdir()
            cases[port] = Case(folder)
        yield cases[port].board

    monkeypatch.setattr(remote_board, "opened", find)
    return cases


def connected(*names):
    return lambda: [types.SimpleNamespace(device=name) for name in names]


def test_main_to_a_board_says_each_step_and_ends_with_0(opened, capsys):
    assert deploy.main(["--port", "one"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"virtual board, MicroPython 1.29.0\n{MODULES} modules, ") and told.err == ""
    assert told.out.endswith("\nto see the client work: make demo PORT=virtual\n")
    assert deploy.main(["--port", "one", "--example", "echo", "--url", URL]) == 0
    assert capsys.readouterr().out.endswith(": make repl PORT=virtual, then Ctrl-C and Ctrl-D\n")


def test_main_without_a_board_ends_with_1_and_the_remedy(opened, capsys):
    assert deploy.main(["--port", "gone"]) == 1
    assert capsys.readouterr() == ("", "deploy: no board on gone (try: make ports)\n")


def test_main_to_all_boards_names_each_line_and_fails_where_one_does(opened, monkeypatch, capsys):
    monkeypatch.setattr(remote_board, "serial_ports", connected("one", "two"))
    assert deploy.main(["--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split(": ")[0] for line in lines} == {"one", "two"} and len(lines) == 2 * (MODULES + 4)
    assert opened["one"].modules() == opened["two"].modules() != {}
    monkeypatch.setattr(remote_board, "serial_ports", connected("one", "gone"))
    assert deploy.main(["--all"]) == 1
    assert capsys.readouterr().err == "deploy: gone: no board on gone (try: make ports)\n"


def test_main_to_all_of_no_boards_fails(monkeypatch, capsys):
    monkeypatch.setattr(remote_board, "serial_ports", connected())
    assert deploy.main(["--all"]) == 1
    assert capsys.readouterr().err == "deploy: no board is connected (try: make ports)\n"


def test_main_freeze_prints_the_line_for_a_manifest(capsys):
    assert deploy.main(["--freeze"]) == 0
    assert capsys.readouterr().out == f'include("{rigs.ROOT}/micropython/manifest.py")\n'


def test_main_interrupted_ends_with_1(opened, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(payload, "client", interrupted)
    assert deploy.main(["--port", "one"]) == 1
    assert capsys.readouterr().err == "deploy: interrupted (try: make deploy again, which goes on from there)\n"


USAGE = {
    "wrong_example": (["--example", "nothing"], "invalid choice: 'nothing' (choose from 'assemble', 'background', "),
    "url_without_example": (["--url", URL], "--url: only with --example"),
    "no_url": (["--example", "echo", "--url", "http://host/"], "'http://host/' is no ws:// or wss:// URL"),
    "source_in_romfs": (["--romfs", "--source"], "--romfs: takes compiled files"),
}


@pytest.mark.parametrize(("arguments", "text"), USAGE.values(), ids=USAGE)
def test_main_used_wrongly_ends_with_2_and_says_how(arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        deploy.main(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err
