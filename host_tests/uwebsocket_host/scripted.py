"""Scripted boards for the tests of device programs: sockets, Wi-Fi, timers and a clock that do what they are told."""

import sys
from pathlib import Path
from types import ModuleType

from uwebsocket_host import firmware

sys.path += [folder for folder in firmware.folders() if folder not in sys.path]  # behind all that is there already

from uwebsocket_host import fakes
from uwebsocket_host.servers import wire


class ScriptedBoard(fakes.board):
    """A board of `fakes` that also runs programs of its user's, with the modules that lie beside them."""

    _folder = None

    def run(self, path, for_ms, replaced=None):
        """Run a program as main.py for `for_ms` of the board's time, then end it as Ctrl-C does; return its names.

        One that ends before leaves the prompt, where the background goes on. `replaced`: {text of the program: what
        stands there when it runs}.
        """
        path = Path(path)
        source = path.read_text()
        for old, new in (replaced or {}).items():
            source = source.replace(old, new)
        self._folder = path.resolve().parent
        end_ms = self.clock.now + for_ms
        end = self.clock.after(for_ms, self._ctrl_c)
        names = {"__name__": "__main__", "__builtins__": self._builtins}
        try:
            exec(compile(source, str(path), "exec"), names)
        except KeyboardInterrupt:
            return names
        end.cancel()
        self.run_background(end_ms - self.clock.now)
        return names

    def echo(self, host, port):
        """Let a server listen there that sends every message back, and answers pings and Close frames."""
        return self.listen(host, port, upgrade=True, on_connect=_Echo)

    @staticmethod
    def _ctrl_c():
        raise KeyboardInterrupt

    def _load_device_file(self, name):
        path = self._folder and self._folder / f"{name}.py"
        if not path or not path.exists():
            return super()._load_device_file(name)
        module = self.modules[name] = ModuleType(name)
        module.__builtins__ = self._builtins
        try:
            exec(compile(path.read_text(), str(path), "exec"), vars(module))
        except BaseException:
            del self.modules[name]
            raise
        return module


class _Echo:
    """What one connection of an echo server has answered."""

    def __init__(self, peer):
        self._answered = 0
        peer.on_data = self._answer

    def _answer(self, peer):
        if b"\r\n\r\n" not in peer.received():
            return
        frames = peer.frames()
        for frame in frames[self._answered :]:
            if frame.opcode == wire.CLOSE:
                peer.close_frame(frame.close_code)
                peer.fin()
            elif frame.opcode != wire.PONG:
                peer.frame(wire.PONG if frame.opcode == wire.PING else frame.opcode, frame.payload, fin=frame.fin)
        self._answered = len(frames)
