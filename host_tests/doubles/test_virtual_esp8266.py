"""The virtual ESP8266: what it has of the chip, and how it tells that it crashed."""

import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from common import compiler, echo_server, rigs, virtual_esp8266
from common import virtual_esp8266_build as build
from common.virtual_esp8266 import HOST, ChipError, FatalException, VirtualESP8266

VERSIONS = [pytest.param(version, id=f"virtual-esp8266-{version}") for version in build.versions()]
ON_NEWEST = pytest.mark.parametrize("version", VERSIONS[:1])
ON_EACH = pytest.mark.parametrize("version", VERSIONS)
MPREMOTE = str(rigs.VENV / "bin" / "mpremote")
PROMPT_S = 10

IMPORTS = "import socket, time\n"


@pytest.fixture
def chip(version, tmp_path):
    """Return a function that switches a chip on, with a flash of the test's own."""
    chips = []

    def chip(**options):
        one = VirtualESP8266(flash=tmp_path / "flash", version=version, **options).start()
        chips.append(one)
        return one

    yield chip
    for one in chips:
        one.close()


def mpremote(one, *arguments):
    done = one.run([MPREMOTE, "connect", one.port, *arguments], timeout=30)
    assert done.returncode == 0, done.stdout + one.last_lines()
    return done.stdout.replace("\r\n", "\n")


def execute(one, code):
    return mpremote(one, "exec", code).strip()


def wait_until(condition):
    deadline = time.monotonic() + PROMPT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Prompt:
    """The other end of the serial port."""

    def __init__(self, one):
        self._file = os.open(one.port, os.O_RDWR | os.O_NOCTTY)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def type(self, data):
        os.write(self._file, data)

    def expect(self, text):
        """Read until the chip has printed that since the last call."""
        deadline = time.monotonic() + PROMPT_S
        while text not in self.text:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._file], [], [], left)[0], f"no {text!r} in {self.text!r}"
            self.text += os.read(self._file, 4096).decode(errors="replace")
        self.text = self.text.partition(text)[2]


@pytest.fixture
def server():
    """Return a function that starts a server on loopback; it serves one connection after the other by a function."""
    listeners = []

    def server(serve):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def loop():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        pass

        threading.Thread(target=loop, daemon=True).start()
        return listener.getsockname()[1]

    yield server
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)


def reset_when_spoken_to(connection):
    """End with a reset, as a server whose process has crashed."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def connected(port):
    return f"{IMPORTS}s = socket.socket()\ns.connect(({HOST!r}, {port}))\n"


# ---- MicroPython, as on the chip


@ON_EACH
def test_chip_after_boot_is_an_esp8266_of_that_version(chip, version):
    code = "import sys; i = sys.implementation; print(sys.platform, '.'.join(map(str, i.version[:3])), i._machine)"
    assert execute(chip(), code) == f"esp8266 {version} ESP module with ESP8266"


@ON_EACH
def test_chip_after_boot_has_a_heap_of_38_kib(chip):
    free, used = map(int, execute(chip(), "import gc; gc.collect(); print(gc.mem_free(), gc.mem_alloc())").split())
    assert 36 * 1024 < free + used < 38 * 1024  # less what the collector takes for itself
    assert free > 34 * 1024


@pytest.mark.parametrize(
    "expression, answer",
    [
        pytest.param("__file__", "NameError", id="__file__"),
        pytest.param("sys.modules['flashbdev'].__file__", "AttributeError", id="__file__-of-a-module"),
        pytest.param("'a,b'.partition(',')", "AttributeError", id="str.partition"),
        pytest.param("__import__('ssl')", "ImportError", id="ssl"),
        pytest.param("__import__('lwip').callback", "<function>", id="lwip.callback"),
        pytest.param("__import__('machine').Timer", "<class 'Timer'>", id="Timer"),
        pytest.param("1 << 40", "1099511627776", id="long-integers"),
        pytest.param("1e30 * 1e30, 1 / 3, 0.1 + 0.2", "inf 0.333333 0.3", id="floats-of-32-bits"),
        pytest.param("__import__('hashlib').sha1(b'abc').digest()[:4]", "b'\\xa9\\x99>6'", id="sha1"),
        pytest.param("len(set(__import__('os').urandom(16))) > 4", "True", id="urandom"),
    ],
)
@ON_NEWEST
def test_name_is_there_or_missing_as_on_the_chip(chip, expression, answer):
    code = f"import sys\ntry:\n print({expression})\nexcept Exception as error:\n print(type(error).__name__)"
    assert execute(chip(), code) == answer


@ON_NEWEST
def test_recursion_ends_at_the_stack_of_the_chip(chip):
    code = "d = 0\ndef f():\n global d\n d += 1\n f()\ntry: f()\nexcept RuntimeError: print(d)"
    assert 20 < int(execute(chip(), code)) < 80


# ---- flash


@ON_NEWEST
def test_file_outlasts_soft_reset_hard_reset_and_power_off(chip, tmp_path):
    (tmp_path / "data").write_bytes(bytes(range(256)) * 40)
    one = chip()
    mpremote(one, "cp", str(tmp_path / "data"), ":data")
    for interruption in ("soft reset", "hard reset", "off and on"):
        if interruption == "soft reset":
            mpremote(one, "soft-reset")
        elif interruption == "hard reset":
            one.reset()
        else:
            one.close()
            one.start()
        mpremote(one, "cp", ":data", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == (tmp_path / "data").read_bytes(), interruption


@ON_NEWEST
def test_power_cut_at_each_flash_write_leaves_the_old_or_the_new_file(chip, tmp_path):
    one = chip()
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old" * 200)
    new.write_text("new" * 200)
    outcomes = set()
    for number in range(1, 50):
        mpremote(one, "cp", "--force", str(old), ":file")
        one.cut_power_in(number)
        # Written beside it and renamed, as `make deploy` does.
        code = f"import os\nwith open('part', 'w') as f: f.write({new.read_text()!r})\nos.rename('part', 'file')"
        one.run([MPREMOTE, "connect", one.port, "exec", code])
        if not one.power_was_cut:
            break
        one.power_on()
        content = execute(one, "print(open('file').read())")
        assert content in (old.read_text(), new.read_text())
        outcomes.add(content)
    assert number > 3, "some writes were cut"
    assert old.read_text() in outcomes


@ON_NEWEST
def test_flash_write_only_clears_bits_and_erase_sets_them(chip):
    code = (
        "import esp\nesp.flash_erase(1000)\nesp.flash_write(4096000, b'\\xf0\\xff\\x00\\xff')\n"
        "esp.flash_write(4096000, b'\\x3c\\x0f\\xff\\xff')\nprint(esp.flash_read(4096000, 4))\n"
        "esp.flash_erase(1000)\nprint(esp.flash_read(4096000, 4))"
    )
    assert execute(chip(), code).splitlines() == ["b'0\\x0f\\x00\\xff'", "b'\\xff\\xff\\xff\\xff'"]


# ---- time


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param("time.sleep_ms(300)", id="asleep"),
        pytest.param("while time.ticks_diff(time.ticks_ms(), t0) < 300: pass", id="busy"),
        pytest.param("select.poll().poll(300)", id="in-poll"),
    ],
)
@ON_NEWEST
def test_timer_ticks_while_the_program_waits(chip, wait):
    code = (
        "import machine, select, time\nn = 0\ndef tick(t):\n global n\n n += 1\n"
        f"t0 = time.ticks_ms()\nt = machine.Timer(-1)\nt.init(period=10, callback=tick)\n{wait}\nt.deinit()\nprint(n)\n"
        "time.sleep_ms(50)\nprint(n)"
    )
    during, after = map(int, execute(chip(), code).split())
    assert 5 <= during <= 31
    assert after == during


@ON_NEWEST
def test_timer_ticks_at_the_idle_prompt(chip):
    with Prompt(chip()) as prompt:
        prompt.type(b"import machine\r\n")
        prompt.type(b"t = machine.Timer(-1); t.init(mode=0, period=100, callback=lambda t: print('t' + 'icked'))\r\n")
        prompt.expect("ticked")


@ON_NEWEST
def test_ctrl_c_ends_a_busy_loop(chip):
    with Prompt(chip()) as prompt:
        prompt.type(b"while True: pass\r\n\r\n\r\n")
        prompt.expect("pass")
        time.sleep(0.2)  # the loop has begun, or else Ctrl-C ends the line that begins it
        prompt.type(b"\x03")
        prompt.expect("KeyboardInterrupt")
        prompt.type(b"6 * 7\r\n")
        prompt.expect("42")


@ON_NEWEST
def test_output_that_nobody_reads_does_not_stop_the_chip(chip):
    one = chip()
    with Prompt(one) as prompt:
        prompt.type(b"for i in range(3000): print('0123456789')\r\n\r\n\r\n")
        time.sleep(2)
    assert execute(one, "print('still here')").endswith("still here")


@ON_NEWEST
def test_reset_causes_are_those_of_the_chip(chip):
    one = chip()
    cause = "import machine; print(machine.reset_cause())"
    assert execute(one, cause) == "0", "power on"
    one.reset()
    assert execute(one, cause) == "6", "the button"
    starts = one.console().count("MicroPython v")
    mpremote(one, "reset")
    # mpremote leaves the chip 0.1 s before, in which the next Ctrl-C would keep it from that.
    wait_until(lambda: one.console().count("MicroPython v") > starts)
    assert execute(one, cause) == "4", "machine.reset()"


# ---- the network


@ON_NEWEST
def test_station_connects_and_has_an_address(chip):
    code = (
        "import network, time\nw = network.WLAN(network.STA_IF)\nprint(w.active())\nw.active(True)\n"
        "w.connect('any', 'key')\nprint(w.isconnected(), w.status())\n"
        "for i in range(100):\n time.sleep_ms(20)\n if w.isconnected(): break\n"
        "print(w.isconnected(), w.status(), w.ifconfig()[0])"
    )
    lines = execute(chip(wifi=False), code).splitlines()
    assert lines == ["False", "False 1", "True 5 10.0.2.15"]


@ON_NEWEST
def test_wifi_taken_away_and_given_back_shows_in_isconnected(chip):
    one = chip()
    for up in (True, False, True):
        one.wifi(up)
        told = f"for i in range(100):\n if w.isconnected() == {up}: break\n time.sleep_ms(50)\nprint(w.isconnected())"
        assert execute(one, f"import network, time\nw = network.WLAN(0)\n{told}") == str(up)


@ON_NEWEST
def test_wifi_out_of_reach_stays_so_over_a_reset(chip):
    one = chip()
    one.wifi(False)
    one.reset()
    code = (
        "import network, time\nw = network.WLAN(0)\nprint(w.isconnected(), w.status())\n"
        "for i in range(100):\n if w.status() == 3: break\n time.sleep_ms(50)\nprint(w.isconnected(), w.status())"
    )
    assert execute(one, code).splitlines()[1] == "False 3"


@ON_EACH
def test_socket_echoes_through_the_hosts_loopback(chip, server):
    code = connected(server(echo)) + "s.send(b'x' * 1000)\nn = 0\nwhile n < 1000: n += len(s.recv(2000))\nprint(n)"
    assert execute(chip(), code) == "1000"


@ON_NEWEST
def test_connect_on_a_non_blocking_socket_is_in_progress(chip, server):
    code = (
        f"{IMPORTS}import errno\ntold = []\nfor i in range(20):\n s = socket.socket()\n s.setblocking(False)\n"
        f" try: s.connect(({HOST!r}, {server(echo)})); told.append(0)\n except OSError as e: told.append(e.errno)\n"
        " time.sleep_ms(20)\n s.close()\nprint(set(told), errno.EINPROGRESS)"
    )
    assert execute(chip(), code) == "{115} 115"


@ON_NEWEST
def test_connect_to_a_closed_port_is_a_reset(chip):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        code = f"{IMPORTS}s = socket.socket()\ntry: s.connect(({HOST!r}, {closed.getsockname()[1]}))\n"
        assert execute(chip(), code + "except OSError as e: print(e.errno)") == "104"


@ON_NEWEST
def test_socket_callback_tells_of_data_and_of_the_end(chip, server):
    def serve(connection):
        connection.recv(10)
        connection.sendall(b"hello")
        connection.recv(10)

    wait = "for i in range(200):\n if n == %d: break\n time.sleep_ms(20)\nprint(n, s.recv(10))\n"
    code = connected(server(serve)) + (
        f"n = 0\ndef told(s):\n global n\n n += 1\ns.setsockopt(1, 20, told)\ns.send(b'go')\n{wait % 1}"
        f"s.send(b'end')\n{wait % 2}"
    )
    assert execute(chip(), code).splitlines() == ["1 b'hello'", "2 b''"]


@ON_NEWEST
def test_listening_socket_closes_and_opens_again(chip):
    once = " s = socket.socket()\n s.bind(('0.0.0.0', 80))\n s.listen(1)\n s.close()\n"
    assert execute(chip(), f"{IMPORTS}for i in range(5):\n{once}print('ok')") == "ok"


@ON_NEWEST
def test_delay_makes_round_trips_longer(chip, server):
    code = connected(server(echo)) + (
        "t = time.ticks_ms()\nfor i in range(5):\n s.send(b'x')\n s.recv(1)\nprint(time.ticks_diff(time.ticks_ms(), t))"
    )
    assert int(execute(chip(delay_ms=40), code)) >= 5 * 20


@ON_NEWEST
def test_loss_is_made_up_for_by_tcp(chip, server):
    code = connected(server(echo)) + (
        "for i in range(10):\n s.send(b'x' * 500)\n n = 0\n while n < 500: n += len(s.recv(500))\nprint('ok')"
    )
    assert execute(chip(loss=50), code) == "ok"


# ---- machine code, ROMFS, frozen code

VIPER = "import micropython\n@micropython.viper\ndef f(x: int) -> int:\n{body} return x\nprint(f(1))"


@ON_NEWEST
def test_native_code_has_the_500_bytes_of_the_chip(chip):
    one = chip()
    assert execute(one, VIPER.format(body=" x += 1\n" * 10)) == "11"
    code = VIPER.format(body=" x += 1\n" * 200)
    told = execute(one, f"try:\n exec({code!r})\nexcept MemoryError as e: print(e)")
    assert told.endswith("bytes for native code")


@ON_EACH
def test_romfs_runs_in_place_and_outlasts_a_reset(chip, tmp_path):
    folder = tmp_path / "tree" / "lib"
    folder.mkdir(parents=True)
    (folder / "told.py").write_text("NAME = 'in_romfs'\n")
    one = chip(variant="romfs")
    mpremote(one, "romfs", "deploy", str(tmp_path / "tree"))
    code = "import told, uctypes\nprint(told.NAME, 0x402b0000 <= uctypes.addressof(told.NAME) < 0x40300000)"
    assert execute(one, code) == "in_romfs True"
    one.reset()
    assert execute(one, code) == "in_romfs True"


@ON_NEWEST
def test_plain_firmware_has_no_romfs(chip):
    assert execute(chip(), "import vfs; print(hasattr(vfs, 'rom_ioctl'), hasattr(vfs, 'VfsRom'))") == "False False"


ECHO = """
import uwebsocket_client, time
got = []
ws = uwebsocket_client.createClient()
ws.on("connection", lambda ws: ws.send(b"x" * 1000, 2))
ws.on("receive", lambda ws, message, opcode: (got.append(len(message)), ws.close()))
ws.on("close", lambda ws, status: got.append(status))
ws.connect("{url}")
while len(got) < 2: time.sleep_ms(1)
print(got)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The client, compiled for the chip, in the folder lib of this one."""
    folder = tmp_path_factory.mktemp("client")
    compiler.build_folder(compiler.sources(), folder / "lib")
    compiler.compile_file(rigs.DEVICE / compiler.MASKER, folder / "lib" / "uwebsocket_mask.mpy", "xtensa")
    return folder


@pytest.mark.parametrize(
    "variant, way",
    [
        pytest.param("plain", ("cp", "--recursive", "lib", ":"), id="littlefs"),
        pytest.param("romfs", ("romfs", "deploy", "."), id="romfs"),
        pytest.param("client", None, id="frozen"),
    ],
)
@ON_EACH
def test_client_echoes_without_polling_from(chip, variant, way, client):
    one = chip(variant=variant)
    if way:
        done = one.run([MPREMOTE, "connect", one.port, *way], timeout=60, cwd=client)
        assert done.returncode == 0, done.stdout
    with echo_server.running() as url:
        assert execute(one, ECHO.format(url=url)) == "[1000, 0]"
        assert execute(one, ECHO.format(url=url.replace("127.0.0.1", HOST))) == "[1000, 0]"


@ON_NEWEST
def test_frozen_client_takes_next_to_nothing_of_the_heap(chip):
    one = chip(variant="client")
    free = "gc.collect()\nprint(gc.mem_free())\n"
    before, after = map(int, execute(one, f"import gc\n{free}import _wsprotocol\n{free}").split())
    assert before - after < 1000  # from littlefs: 2.8 KB
    assert execute(one, "import os; print([name for name in os.listdir('/') if 'uwebsocket' in name])") == "[]"


# ---- faults

FATAL = [
    pytest.param("import machine; machine.mem32[0]", 28, "LoadProhibitedCause", "machine_mem_subscr", id="load"),
    pytest.param("import machine; machine.mem32[0] = 1", 29, "StoreProhibitedCause", "machine_mem_subscr", id="store"),
    pytest.param(
        "import micropython\n@micropython.viper\ndef f(): ptr32(0x3ffe8001)[0] = 1\nf()",
        9, "LoadStoreAlignmentCause", "", id="unaligned",
    ),
]  # fmt: skip


@pytest.mark.parametrize("code, cause, name, function", FATAL)
@ON_NEWEST
def test_fatal_exception_ends_a_run_with_its_cause_and_place(chip, code, cause, name, function):
    one = chip()
    with pytest.raises(FatalException) as told:
        one.run([MPREMOTE, "connect", one.port, "exec", f"print('before')\n{code}"])
    text = str(told.value)
    assert re.match(rf"Fatal exception {cause}\({name}\) in {function or '.*'}\+?", text)
    assert "before" in text and f"Fatal exception {cause}(" in text.partition("\n")[2]


@ON_NEWEST
def test_fatal_exception_resets_the_chip(chip):
    one = chip()
    with pytest.raises(FatalException):
        one.run([MPREMOTE, "connect", one.port, "exec", "import machine; machine.mem32[0]"])
    assert execute(one, "import machine; print(machine.reset_cause())") == "2"


@ON_NEWEST
def test_setting_an_option_after_a_reset_by_the_peer_crashes_as_on_the_chip(chip, server):
    code = connected(server(reset_when_spoken_to)) + "s.send(b'x')\ntime.sleep_ms(200)\ns.setsockopt(6, 64, 1)"
    one = chip()
    with pytest.raises(FatalException, match=r"Fatal exception 28.*lwip_socket_setsockopt"):
        one.run([MPREMOTE, "connect", one.port, "exec", code])


@ON_NEWEST
def test_write_that_waits_in_c_while_the_peer_resets_crashes_as_on_the_chip(chip, server):
    # Without Nagle eight small segments fill the queue, and the ninth write waits.
    code = connected(server(reset_when_spoken_to)) + "s.setsockopt(6, 64, 1)\nwhile True: s.write(b'x')"
    one = chip(delay_ms=60)
    with pytest.raises(FatalException, match=r"Fatal exception 28.*lwip_tcp_send"):
        one.run([MPREMOTE, "connect", one.port, "exec", code])


# ---- as an interpreter

PROGRAM = """
import sys, time
import beside, uwebsocket_client
print(sys.argv, beside.NAME)
{}
print("end")
"""


@pytest.fixture(params=[rigs.CHIP])
def program(tmp_path, request):
    """Return a function that writes a program, with a module beside it, and returns the command that runs it."""
    (tmp_path / "beside.py").write_text("NAME = 'of the folder'")

    def program(code, *options):
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.format(code))
        return [*rigs.command(request.param), *options, str(path), "a", "b c"]

    return program


def ended(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_program_runs_with_its_arguments_and_the_modules_of_its_folder(program):
    done = ended(program("import gc; print(gc.mem_alloc() + gc.mem_free() < 38 * 1024)"))
    told = ["['program', 'a', 'b c'] of the folder", "True", "end"]
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (told, "", 0)


def test_program_gets_the_heap_that_is_asked_for(program):
    done = ended(program("print(len(bytearray(600000)))", "-X", "heapsize=1m"))
    assert done.stdout.splitlines()[1:] == ["600000", "end"]


@pytest.mark.parametrize(
    ("code", "last"),
    [
        pytest.param("raise ValueError('wrong')", "ValueError: wrong", id="exception"),
        pytest.param("import machine; machine.mem32[0]", ">>> ", id="crash"),
    ],
)
def test_program_that_fails_ends_with_1_and_says_why(program, code, last):
    done = ended(program(code))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].endswith("of the folder") and "end" not in done.stdout.split()
    assert done.stderr.rstrip("\n").endswith(last) and ("Fatal exception 28" in done.stderr) == (last == ">>> ")


def test_program_is_heard_while_it_runs_and_its_chip_ends_with_the_command(program):
    command = program("while True: time.sleep(1)")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=rigs.device_env(rigs.CHIP)) as process:
        assert process.stdout.readline().endswith("of the folder\n")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        qemu = [Path("/proc", child) for child in children if "qemu" in Path("/proc", child, "cmdline").read_text()]
        assert len(qemu) == 1
        process.terminate()
        assert process.wait(20) == 1
    assert not qemu[0].exists()


@ON_NEWEST
def test_heap_beyond_what_the_port_can_use_is_refused(version, tmp_path):
    with pytest.raises(ValueError, match="room for a heap of 1024 KiB"):
        VirtualESP8266(flash=tmp_path / "flash", version=version, heap_kib=1025)


# ---- the tool


@ON_NEWEST
def test_flash_in_use_is_refused_with_the_remedy(chip, version, tmp_path):
    chip()
    with pytest.raises(ChipError, match=r"^the virtual ESP8266 with flash runs already \(try: PORT=virtual\)$"):
        VirtualESP8266(flash=tmp_path / "flash", version=version).start()


@ON_NEWEST
def test_closed_chip_starts_again_and_a_switched_off_one_says_so(chip):
    one = chip()
    one.close()
    assert one.is_off and one.port is None
    one.close()
    with one:
        assert execute(one, "print(1)") == "1"


@ON_NEWEST
def test_qemu_does_not_outlive_its_tool(version, tmp_path):
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom common import virtual_esp8266\n"
        f"one = virtual_esp8266.VirtualESP8266(flash=Path({str(tmp_path / 'flash')!r}), version={version!r}).start()\n"
        "print(one._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    tool = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True)
    qemu = Path("/proc", tool.stdout.readline().strip())
    assert "qemu" in (qemu / "cmdline").read_text()
    tool.kill()
    tool.wait()
    tool.stdout.close()
    wait_until(lambda: not qemu.exists() or (qemu / "stat").read_text().split(")")[-1].split()[0] == "Z")


@ON_NEWEST
def test_second_build_does_nothing(version):
    before = {variant: build.ensure(variant, version).elf.stat().st_mtime_ns for variant in build.VARIANTS}
    assert before == {variant: build.ensure(variant, version).elf.stat().st_mtime_ns for variant in build.VARIANTS}


@pytest.mark.parametrize(
    "arguments, text",
    [
        pytest.param(("extra",), "no variant of the virtual ESP8266 is called 'extra'", id="variant"),
        pytest.param(("plain", "1.0"), "the virtual ESP8266 has no MicroPython 1.0 (one of: 1.25.0", id="version"),
    ],
)
def test_unknown_firmware_is_refused_with_those_there_are(arguments, text):
    with pytest.raises(ValueError) as told:
        build.ensure(*arguments)
    assert text in str(told.value)


@pytest.mark.parametrize("missing", ["apt-get", "dpkg", "make"])
def test_missing_tool_is_named(missing, tmp_path, monkeypatch):
    for tool in ("apt-get", "apt-cache", "dpkg", "tar", "make"):
        if tool != missing:
            (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rigs, "RIGS", tmp_path / "rigs")
    with pytest.raises(build.BuildError, match=f"^this machine has no {missing}$"):
        build.ensure()


def test_romfs_larger_than_its_partition_is_refused(tmp_path):
    with pytest.raises(ChipError, match="the ROMFS partition has 327680 B, the image 327681 B"):
        virtual_esp8266.make_flash(tmp_path / "flash", bytes(327681))
