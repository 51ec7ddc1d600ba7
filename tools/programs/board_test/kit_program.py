"""What the steps share: one client at a time, and what its events brought. Stays on the board while they run."""

import gc
import json

import utime
import uwebsocket_client as websocket

EVENT_MS = 15000  # the longest wait for an event


class Failed(Exception):
    """A step has failed; the text says what was wrong."""


class Kit:
    """Runs steps: functions that take this object first, and return what they have measured."""

    Failed = Failed
    ws = None
    phase = "idle"

    def run(self, step, arguments):
        """Run a step and print what became of it as a line of JSON."""
        said = {}
        begin = utime.ticks_ms()
        try:
            said["result"] = step(self, *arguments)
        except Exception as error:
            said["failed"] = str(error) if isinstance(error, Failed) else f"{type(error).__name__} {error}"
            if self.ws and self.ws.errno:
                said["failed"] += f", errno {self.ws.errno}"
        said["ms"] = utime.ticks_diff(utime.ticks_ms(), begin)
        self.drop()
        said["free"] = gc.mem_free()
        print(json.dumps(said))

    def drop(self):
        """Close and forget the client."""
        ws = self.ws
        self.ws = None
        self.came = {}
        if ws:
            ws.close()
            while ws.poll(100):
                pass
        gc.collect()

    def begin(self, url, params=None, data=None):
        """Begin to connect a new client; `params`: for config(), `data`: a handler."""
        self.drop()
        self.ws = ws = websocket.createClient()
        self.phase = "connecting"
        if params:
            ws.config(params)
        ws.on("connection", self.on_connection)
        ws.on("receive", self.on_receive)
        ws.on("data", data)
        ws.on("pong", self.on_pong)
        ws.on("close", self.on_close)
        ws.connect(url)

    def open(self, url, params=None, data=None):
        """Connect a new client."""
        self.begin(url, params, data)
        self.take("connection")

    def on_connection(self, ws):
        self.phase = "connected"
        self.came["connection"] = True

    def on_receive(self, ws, message, opcode):
        self.came["receive"] = message

    def on_pong(self, ws, payload):
        self.came["pong"] = payload

    def on_close(self, ws, status):
        self.came["close"] = status

    def take(self, event):
        """Wait for an event, and return what came with it, once."""
        until = utime.ticks_add(utime.ticks_ms(), EVENT_MS)
        while event not in self.came:
            alive = self.ws.poll(100)
            if event not in self.came and (not alive or utime.ticks_diff(until, utime.ticks_ms()) < 0):
                told = f', "close" told {self.came["close"]}' if "close" in self.came else ""
                raise Failed(f'no "{event}" came while {self.phase}{told}')
        return self.came.pop(event)

    def expect(self, event, value):
        """Wait for an event that must bring this."""
        came = self.take(event)
        if came != value:
            raise Failed(f'"{event}" brought {str(came)[:40]} instead of {str(value)[:40]}')


kit = Kit()
