"""The shim's modules where no socket is needed."""

import io
import subprocess
import sys

import pytest

import micropython
import mp_runtime
import uselect
import usocket
from common import rigs


def test_shim_import_with_the_documented_path_works():
    ran = subprocess.run(
        [sys.executable, "-c", "import micropython; print(micropython.__file__)"],
        env={"PYTHONPATH": "micropython:host_tests/shim"},
        cwd=rigs.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.strip() == str(rigs.SHIM / "micropython.py")


def test_machine_on_a_pc_has_no_timer():
    import machine

    assert not hasattr(machine, "Timer")


def test_const_returns_its_argument():
    assert micropython.const(7) == 7


def test_heap_lock_nested_is_counted():
    micropython.heap_lock()
    micropython.heap_lock()
    assert [micropython.heap_unlock() for _ in range(3)] == [1, 0, 0]


def test_schedule_with_a_failing_callback_prints_it_and_goes_on(capsys):
    micropython.schedule(lambda _: 1 / 0, None)
    micropython.schedule(print, "next")
    captured = capsys.readouterr()
    assert "ZeroDivisionError" in captured.err
    assert captured.out == "next\n"


def test_print_exception_to_a_file_writes_the_traceback():
    out = io.StringIO()
    sys.print_exception(ValueError("no"), out)
    assert out.getvalue().endswith("ValueError: no\n")


@pytest.mark.parametrize("decorator", [micropython.native, micropython.viper], ids=["native", "viper"])
def test_machine_code_on_cpython_is_refused_like_by_a_firmware_without_it(decorator):
    with pytest.raises(SyntaxError):
        decorator(lambda: None)


@pytest.mark.parametrize(
    "args, expected",
    [
        pytest.param((104,), 104, id="number"),
        pytest.param(("[addrinfo error -2]",), "[addrinfo error -2]", id="text"),
        pytest.param((-40, "HANDSHAKE"), -40, id="two"),
        pytest.param((), None, id="none"),
    ],
)
def test_port_error_has_its_first_argument_as_errno(args, expected):
    error = mp_runtime.PortError(*args)
    assert error.errno == expected
    assert error.args == args


def test_poll_of_a_socket_closed_before_registration_is_not_valid():
    sock = usocket.socket()
    sock.close()
    poller = uselect.poll()
    poller.register(sock, uselect.POLLIN)
    assert poller.poll(0) == [(sock, 32)]


def test_address_of_ipv6_is_understood_by_connect():
    address = usocket.getaddrinfo("::1", 9, 0, usocket.SOCK_STREAM)[0][-1]
    assert len(address) == 28
    assert usocket._unpack(address)[:2] == ("::1", 9)
