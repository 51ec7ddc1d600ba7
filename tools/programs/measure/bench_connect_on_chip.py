"""Print how many microseconds each of ROUNDS connections takes, from connect() until it is open; not the first.

bench_connect_on_chip.py URL ROUNDS
"""

import sys

import utime
import uwebsocket_client as websocket

ws = websocket.createClient()
for turn in range(int(sys.argv[2]) + 1):
    begun = utime.ticks_us()
    ws.connect(sys.argv[1])
    while not ws.connected and ws.poll(1000):
        pass
    if turn:
        print(utime.ticks_diff(utime.ticks_us(), begun))
    if not ws.connected:
        raise RuntimeError("not connected")
    ws.close()
    while ws.poll(1000):
        pass
