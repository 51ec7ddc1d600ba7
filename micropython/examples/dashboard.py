# dashboard.py: readings for a page that draws them. MIT licence, see LICENSE.
"""Send readings once a second: `make serve` on the PC passes them on to every browser that shows its /dashboard.

When the server restarts or Wi-Fi is lost, the client connects again by itself, and the readings go on.
"""

import gc
import json
import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/board"
PERIOD_MS = 1000


def readings():
    # Numbers by name, a curve for each. Yours may be {"light": machine.ADC(0).read()}.
    return {"free heap, KiB": round(gc.mem_free() / 1024, 1), "up, s": time.ticks_ms() // 1000}


ws = websocket.createClient()
ws.config({"reconnect": True, "reconnect_max_ms": 5000, "ping_interval_ms": 5000})
ws.on("connection", lambda ws: print("connected"))
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
alive = True
while alive:
    if ws.connected:
        try:
            ws.send(json.dumps(readings()))
        except OSError:
            pass  # lost at this moment; "close" says so
    due = time.ticks_add(time.ticks_ms(), PERIOD_MS)
    wait = PERIOD_MS
    while alive and wait > 0:
        alive = ws.poll(wait)
        wait = time.ticks_diff(due, time.ticks_ms())
