"""tools/board.py: the virtual board at its prompt and behind the real mpremote, on each MicroPython."""

import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

import board
from common import compiler, echo_server, rigs, virtual_board
from support.terminal import Terminal

on_each = pytest.mark.parametrize("rig", rigs.HEAPS)
ON_32 = pytest.mark.parametrize("rig", ["micropython32"])


@pytest.fixture
def flash(tmp_path):
    folder = tmp_path / "flash"
    folder.mkdir()
    return folder


@pytest.fixture
def run(rig, flash):
    """Return a function that runs a board of the test's interpreter, and its flash."""

    def run(**options):
        return virtual_board.running(flash=flash, rig=rig, **options)

    return run


def mpremote(one, *arguments, code=0):
    command = [str(rigs.VENV / "bin" / "mpremote"), "connect", one.port, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


# ---- memory and files


@on_each
def test_board_after_boot_has_the_heap_of_the_named_one(run, rig):
    with run() as one:
        free = int(mpremote(one, "resume", "exec", "import gc; gc.collect(); print(gc.mem_free())"))
    kib = 38 if rig == "micropython32" else 76
    assert one.heap_kib == kib
    assert (kib - 3) * 1024 < free < kib * 1024


@on_each
def test_flash_folder_is_the_root_of_the_board(run, flash, tmp_path):
    (tmp_path / "data").write_bytes(bytes(range(256)) * 40)
    with run() as one:
        mpremote(one, "resume", "mkdir", ":/lib")
        mpremote(one, "resume", "cp", str(tmp_path / "data"), ":/lib/data")
        assert (flash / "lib" / "data").read_bytes() == (tmp_path / "data").read_bytes()
        assert "data" in mpremote(one, "resume", "ls", ":/lib")
        code = "import os, sys; print(os.getcwd(), os.listdir('/'), sys.path)"
        assert mpremote(one, "resume", "exec", code) == "/ ['lib'] ['', '.frozen', '/lib']\n"


@on_each
def test_file_renamed_over_another_replaces_it(run, flash):
    (flash / "old").write_text("old")
    (flash / "new").write_text("new")
    with run() as one:
        mpremote(one, "resume", "exec", "import os; os.rename('/new', '/old'); os.chdir('/'); os.rename('old', 'it')")
    assert {path.name: path.read_text() for path in flash.iterdir()} == {"it": "new"}


@on_each
def test_flash_that_is_full_raises_enospc_and_takes_more_after_a_removal(run, flash):
    write = "with open('{}', 'wb') as file: print(file.write(bytes(3000)))"
    with run(flash_kib=4) as one:
        assert mpremote(one, "resume", "exec", write.format("a")) == "3000\n"
        assert "OSError: 28" in mpremote(one, "resume", "exec", write.format("b"), code=1)
        mpremote(one, "resume", "exec", "import os; os.remove('a')")
        assert mpremote(one, "resume", "exec", write.format("b")) == "3000\n"
    assert (flash / "b").stat().st_size == 3000


@on_each
def test_mounted_folder_of_the_computer_can_be_read(run, tmp_path):
    (tmp_path / "hello.py").write_text("print('hello from the computer')")
    with run() as one:
        output = mpremote(one, "resume", "mount", str(tmp_path), "exec", "import hello")
    assert output.endswith("hello from the computer\n")


# ---- start and reset


@on_each
def test_boot_runs_boot_and_main_in_one_namespace(run, flash):
    (flash / "boot.py").write_text("x = 6")
    (flash / "main.py").write_text("x *= 7")
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        assert terminal.line("x, __name__") == "(42, '__main__')"


@on_each
def test_main_that_raises_is_printed_as_a_board_does(run, flash):
    (flash / "main.py").write_text("def fail():\n    1 / 0\nfail()\n")
    with run() as one, Terminal(one.port) as terminal:
        shown = terminal.wait(">>> ")
    assert shown.startswith('Traceback (most recent call last):\r\n  File "main.py", line 3, in <module>\r\n'
                            '  File "main.py", line 2, in fail\r\nZeroDivisionError:')  # fmt: skip


@on_each
def test_ctrl_c_ends_main_and_gives_the_prompt(run, flash):
    (flash / "main.py").write_text("print('on')\nwhile True:\n    pass\n")
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait("on")
        terminal.type("\x03")
        assert "KeyboardInterrupt" in terminal.wait(">>> ")
        assert terminal.line("6 * 7") == "42"


@on_each
@pytest.mark.parametrize(("how", "shown"), [
    ("\x04", "soft reboot"),
    ("import machine; machine.soft_reset()\r", "soft reboot"),
    ("import machine; machine.reset()\r", "rst:"),
    ("raise SystemExit\r", "soft reboot"),
], ids=["ctrl-d", "soft_reset", "reset", "exit"])  # fmt: skip
def test_reset_at_the_prompt_begins_anew(run, flash, how, shown):
    (flash / "main.py").write_text("print('main runs')")
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        terminal.line("x = 1")
        terminal.type(how)
        terminal.wait(shown)
        terminal.wait("main runs")
        terminal.wait(">>> ")
        assert "NameError" in terminal.line("x")


@on_each
def test_reset_button_begins_anew(run):
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        one.reset()
        terminal.wait("rst:")
        terminal.wait(">>> ")


@on_each
def test_soft_reset_of_mpremote_runs_boot_but_not_main(run, flash):
    (flash / "boot.py").write_text("booted = True")
    (flash / "main.py").write_text("started = True")
    with run() as one:
        names = mpremote(one, "exec", "print(dir())")
        assert "booted" in names and "started" not in names
        assert "started" not in mpremote(one, "soft-reset", "exec", "print(dir())")
        with Terminal(one.port) as terminal:
            mpremote(one, "resume", "reset")
            terminal.wait("rst:")
        assert "started" in mpremote(one, "resume", "exec", "print(dir())")


@on_each
def test_board_that_is_reset_many_times_leaks_nothing(run):
    with run() as one:
        before = os.listdir("/proc/self/fd")
        for _ in range(5):
            mpremote(one, "exec", "print(1)")
        assert len(os.listdir("/proc/self/fd")) == len(before)


@on_each
def test_exception_in_the_raw_repl_is_told_as_on_a_board(run):
    with run() as one:
        output = mpremote(one, "resume", "exec", "x = 1\nx / 0", code=1)
        assert output.startswith('Traceback (most recent call last):\n  File "<stdin>", line 2, in <module>\nZeroDiv')
        assert mpremote(one, "resume", "exec", "print(x)") == "1\n"


@on_each
def test_large_code_needs_no_heap_for_its_text(run):
    with run() as one:
        code = "".join(f"# {'x' * 1000} {number}\n" for number in range(60)) + "print('all')"
        assert mpremote(one, "resume", "exec", code) == "all\n"


@on_each
def test_program_that_never_ends_is_interrupted_by_the_next_command(run):
    with run() as one:
        mpremote(one, "resume", "exec", "--no-follow", "while True: pass")
        assert mpremote(one, "resume", "exec", "print(42)") == "42\n"


@on_each
def test_board_in_a_boot_loop_shows_nothing_but_resets(run):
    with run(boot_loop=True) as one, Terminal(one.port) as terminal:
        for _ in range(3):
            terminal.wait("rst:")
        with pytest.raises(AssertionError, match="was not shown"):
            terminal.wait(">>> ", within_s=0.5)


@on_each
def test_output_that_nobody_reads_does_not_stop_the_board(run, flash):
    (flash / "main.py").write_text("for _ in range(2000):\n    print('x' * 80)\nopen('done', 'w').close()\n")
    deadline = time.monotonic() + 20
    with run():
        while not (flash / "done").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


# ---- timers


_TICKS = """\
import machine, time
times = []
timer = machine.Timer(0)
timer.init(mode={mode}, period=20, callback=lambda _: times.append(time.ticks_ms()))
begin = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), begin) < 400:
    {wait}
timer.deinit()
count = len(times)
time.sleep_ms(100)
print(count, len(times) - count)
"""


@on_each
@pytest.mark.parametrize("wait", ["time.sleep_ms(50)", "pass"], ids=["sleeping", "busy"])
def test_timer_ticks_while_code_runs_until_deinit(run, wait):
    with run() as one:
        code = _TICKS.format(mode="machine.Timer.PERIODIC", wait=wait)
        count, after = map(int, mpremote(one, "resume", "exec", code).split())
    assert 5 <= count <= 20 and after == 0


@on_each
def test_timer_of_one_shot_ticks_once(run):
    with run() as one:
        code = _TICKS.format(mode="machine.Timer.ONE_SHOT", wait="time.sleep_ms(10)")
        assert mpremote(one, "resume", "exec", code) == "1 0\n"


@on_each
def test_timers_are_those_of_the_esp32(run):
    code = """\
import machine, time
print(machine.Timer(3) is machine.Timer(3), machine.Timer(0) is machine.Timer(1))
for number in (-1, 4):
    try:
        machine.Timer(number)
    except ValueError as error:
        print(error)
ticks = [0, 0]
def count(index):
    ticks[index] += 1
def fail(_):
    count(1)
    raise ValueError("in a timer")
machine.Timer(0, period=20, callback=lambda _: count(0))
machine.Timer(1).init(period=70, callback=fail)
time.sleep_ms(300)
machine.Timer(0).deinit()
machine.Timer(1).deinit()
print(ticks[0] > ticks[1] > 1)
"""
    with run() as one:
        output = mpremote(one, "resume", "exec", code)
    assert output.startswith("True False\ninvalid Timer number\ninvalid Timer number\n")
    assert "ValueError: in a timer" in output and output.endswith("True\n")


@ON_32
def test_timer_ticks_at_the_idle_prompt_and_ends_with_a_soft_reset(run, rig):
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        terminal.line("import machine; timer = machine.Timer(0)")
        terminal.line("timer.init(period=20, callback=lambda _: print('tick'))")
        for _ in range(3):
            terminal.wait("tick")
        terminal.type("\x04")
        terminal.wait("soft reboot")
        terminal.wait(">>> ")
        with pytest.raises(AssertionError, match="was not shown"):
            terminal.wait("tick", within_s=0.3)


# ---- Wi-Fi


@on_each
@pytest.mark.parametrize("wifi", [True, False], ids=["on", "off"])
def test_wifi_at_start_is_as_asked(run, wifi):
    code = "import network; w = network.WLAN(network.STA_IF); print(w.active(), w.isconnected(), w.ifconfig()[0])"
    with run(wifi=wifi) as one:
        assert mpremote(one, "resume", "exec", code) == ("True True 127.0.0.1\n" if wifi else "False False 0.0.0.0\n")


@on_each
def test_wifi_follows_the_program_and_the_network(run):
    state = "print(w.isconnected(), w.status() == network.STAT_GOT_IP)"
    with run(wifi=False) as one:
        mpremote(one, "resume", "exec", "import network; w = network.WLAN(network.WLAN.IF_STA); w.active(True)")
        assert mpremote(one, "resume", "exec", state) == "False False\n"
        assert mpremote(one, "resume", "exec", f"w.connect('net', 'secret'); {state}") == "True True\n"
        assert mpremote(one, "resume", "exec", "print(w.config('ssid'), w.config('essid'))") == "net net\n"
        one.wifi(False)
        assert mpremote(one, "resume", "exec", state) == "False False\n"
        one.wifi(True)
        assert mpremote(one, "resume", "exec", state) == "True True\n"
        assert mpremote(one, "resume", "exec", f"w.disconnect(); {state}") == "False False\n"


# ---- the client


_EXAMPLE = (
    "import uwebsocket_client as websocket",
    "ws = websocket.createClient()",
    "ws.on('connection', lambda ws: print('got ws connection'))",
    "ws.on('receive', lambda ws, message, opcode: print('got message:', message, opcode))",
    "ws.on('close', lambda ws, status: print('connection closed', status))",
)


@pytest.fixture
def client(flash):
    """The compiled client in /lib."""
    compiler.build_folder(compiler.sources(), flash / "lib")


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@ON_32
def test_example_typed_line_by_line_has_its_events_by_themselves(run, rig, client, url):
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        for line in _EXAMPLE:
            terminal.line(line)
        terminal.line(f"ws.connect('{url}')")
        terminal.wait("got ws connection\r\n")
        terminal.line("ws.send('hello!')")
        terminal.wait("got message: hello! 1\r\n")
        terminal.line("ws.close()")
        terminal.wait("connection closed 0\r\n")


@ON_32
@pytest.mark.parametrize(("name", "verifies"), [("ESP8266_GENERIC", False), ("ESP32_GENERIC", True)])
def test_stand_in_verifies_servers_where_the_board_does(rig, flash, client, name, verifies):
    with virtual_board.running(name, flash=flash, rig=rig) as one:
        code = "import uwebsocket_client\ntry:\n uwebsocket_client.createClient().config({'tls': {'ca': b'x'}})\n"
        told = mpremote(one, "resume", "exec", code + "except ValueError as error:\n print(error)")
    assert ("cannot verify" in told) is not verifies


@ON_32
def test_client_connects_again_when_wifi_comes_back(run, rig, client, url):
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait(">>> ")
        for line in (*_EXAMPLE, "ws.config({'reconnect': True, 'reconnect_min_ms': 100})"):
            terminal.line(line)
        terminal.line(f"ws.connect('{url}')")
        terminal.wait("got ws connection\r\n")
        one.wifi(False)
        terminal.wait("connection closed -")
        one.wifi(True)
        terminal.wait("got ws connection\r\n")
        terminal.line("import network; station = network.WLAN(network.STA_IF)")
        terminal.line("station.active(False)")
        terminal.wait("connection closed -")
        terminal.line("station.active(True); station.connect('virtual', '')")
        terminal.wait("got ws connection\r\n")
        terminal.line("ws.send('again')")
        terminal.wait("got message: again 1\r\n")


@ON_32
def test_soft_reset_with_an_open_client_leaves_a_clean_board(run, rig, client, url):
    with run() as one, Terminal(one.port) as terminal:
        for _ in range(2):
            terminal.wait(">>> ")
            assert terminal.line("import gc; gc.collect(); gc.mem_free() > 35000").endswith("True")
            for line in _EXAMPLE:
                terminal.line(line)
            terminal.line(f"ws.connect('{url}')")
            terminal.wait("got ws connection\r\n")
            terminal.type("\x04")
            terminal.wait("soft reboot")
            assert "closed" not in terminal.wait("MicroPython")


@on_each
def test_client_in_the_background_of_a_sleeping_program(run, flash, client, url):
    (flash / "main.py").write_text(
        "\n".join(
            (
                *_EXAMPLE,
                f"ws.connect('{url}')",
                "import time",
                """\
while not ws.connected:
    time.sleep_ms(10)
ws.send("hello!")
time.sleep(5)
""",
            )
        )
    )
    with run() as one, Terminal(one.port) as terminal:
        terminal.wait("got ws connection\r\n")
        terminal.wait("got message: hello! 1\r\n")


# ---- one board for all tools


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_board, "FOLDER", tmp_path)


@on_each
def test_board_of_a_name_runs_once_and_is_joined(here, rig):
    assert virtual_board.running_port() is None and virtual_board.names() == []
    with virtual_board.running(rig=rig) as one:
        assert virtual_board.running_port() == one.port and virtual_board.names() == [virtual_board.DEFAULT]
        with virtual_board.joined() as port:
            assert port == one.port
        with (
            pytest.raises(virtual_board.BoardError, match="runs already .try: PORT=virtual"),
            virtual_board.running(rig=rig),
        ):
            pass
    assert virtual_board.running_port() is None
    with virtual_board.joined() as port:
        assert virtual_board.running_port() == port


def test_port_left_by_a_board_that_was_killed_is_not_taken(here):
    virtual_board._lock_path(virtual_board.DEFAULT).write_text("/dev/pts/0")
    assert virtual_board.running_port() is None


# ---- the program


@ON_32
def test_program_takes_commands_until_q(rig):
    command = [sys.executable, str(rigs.ROOT / "tools" / "board.py"), "--on", rig, "--board", "ESP32_GENERIC_C6"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert "virtual ESP32_GENERIC_C6 on /dev/pts/" in process.stdout.readline()
        output, _ = process.communicate("w\nw\nr\n?\nq\n", timeout=30)
    assert process.returncode == 0
    assert "Wi-Fi off\nWi-Fi on\nreset\ncommands" in output


_CRASH = "import machine; machine.mem32[0]"


def _type(monkeypatch, text):
    """Have the program read that from its standard input."""
    source, end = os.pipe()
    os.write(end, text)
    os.close(end)
    monkeypatch.setattr(sys, "stdin", os.fdopen(source))


@pytest.mark.parametrize("rig", ["virtual-esp8266"])
def test_program_runs_an_esp8266_on_the_chips_own_code(rig, here, monkeypatch, capfd):
    _type(monkeypatch, b"w\nr\nq\n")
    assert board.main(["--board", "ESP8266_GENERIC"]) == 0
    output = capfd.readouterr().out
    assert "the ESP8266's own code in QEMU, MicroPython 1.2" in output and "heap 38 KiB" in output
    assert "Wi-Fi off\nreset\n" in output


@ON_32
def test_program_says_that_a_board_is_a_stand_in(rig, here, monkeypatch, capfd):
    _type(monkeypatch, b"q\n")
    assert board.main(["--board", "ESP32_GENERIC"]) == 0
    assert f"a stand-in for the chip: MicroPython for this computer ({rig})" in capfd.readouterr().out


@pytest.mark.parametrize("rig", ["virtual-esp8266"])
def test_program_tells_the_crash_of_the_chip_by_name(rig, here, monkeypatch, capfd):
    source, end = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(source))

    def crash():
        while not (port := virtual_board.running_port()):
            time.sleep(0.05)
        command = [str(rigs.VENV / "bin" / "mpremote"), "connect", port, "exec", "--no-follow", _CRASH]
        subprocess.run(command, timeout=30, check=True)
        time.sleep(2)
        os.write(end, b"q\n")

    thread = threading.Thread(target=crash)
    thread.start()
    assert board.main(["--board", "ESP8266_GENERIC"]) == 0
    thread.join()
    os.close(end)
    assert "Fatal exception 28(LoadProhibitedCause) in machine_mem_subscr+" in capfd.readouterr().out


_WRONG = {
    "name": (["--board", "ESP9"], 1, "no board is called 'ESP9'"),
    "option": (["--heap"], 2, "unrecognized arguments"),
    "flash": (["--flash-kib", "much"], 2, "invalid int value"),
    "chip": (["--board", "ESP32_GENERIC", "--on", "virtual-esp8266"], 1, "ESP32_GENERIC is no ESP8266"),
    "flash-of-the-chip": (["--flash-kib", "64", "--on", "virtual-esp8266"], 1, "4096 KiB of flash"),
    "pace": (["--icount", "4", "--on", "micropython64"], 1, "has no --icount"),
}


@pytest.mark.parametrize(("arguments", "code", "words"), _WRONG.values(), ids=list(_WRONG))
def test_program_with_wrong_arguments_says_what_is_wrong(arguments, code, words, capfd):
    try:
        assert board.main(arguments) == code
    except SystemExit as error:
        assert error.code == code
    errors = capfd.readouterr().err
    assert words in errors and (code == 2 or "(try: " in errors)


def test_program_without_micropython_says_what_to_do(monkeypatch, capfd):
    monkeypatch.setattr(rigs, "missing", lambda: dict.fromkeys(rigs.HEAPS, "broken"))
    assert board.main(["--board", "ESP32_GENERIC"]) == 1
    assert "(try: make setup)" in capfd.readouterr().err


def test_program_while_the_board_runs_elsewhere_says_so(here, capfd):
    with open(virtual_board._lock_path(virtual_board.DEFAULT), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert board.main([]) == 1
    assert capfd.readouterr().err == "board: the virtual ESP8266_GENERIC runs already (try: PORT=virtual)\n"


def test_program_dry_run_starts_nothing(here, capfd):
    assert board.main(["--dry-run", "--on", "micropython64"]) == 0
    assert virtual_board.running_port() is None and "heap 76 KiB" in capfd.readouterr().out
