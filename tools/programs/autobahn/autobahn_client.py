# Autobahn fuzzing client of uwebsocket_client, for any interpreter. MIT licence.
"""Runs cases of Autobahn's fuzzing server, one connection for each, and echoes every message.

    autobahn_client.py URL AGENT CASES COMPRESSED SECONDS

Runs the cases with the numbers CASES, such as 1-5,9-9, each for at most SECONDS, then asks the server to write its
reports; from case number COMPRESSED on it offers permessage-deflate. For each case two lines are printed: `start N` and
`end N STATUS MILLISECONDS`, STATUS being that of "close", or `timeout`.
"""

import sys
import time

import uwebsocket_client as websocket

CLOSE_SECONDS = 10


def echo(ws, message, opcode):
    """Send the message back; of a connection that died meanwhile `"close"` tells."""
    try:
        ws.send(message, opcode)
    except OSError:
        pass


def poll_until_closed(ws, seconds):
    """Poll until nothing more will come: True, or False after `seconds`."""
    end = time.time() + seconds
    while ws.poll(1000):
        if time.time() > end:
            return False
    return True


def session(url, receive, seconds, compression=False):
    """Connect to `url`, hand its messages to `receive` and return the status, or "timeout"."""
    statuses = []
    ws = websocket.createClient()
    ws.config({"compression": compression})
    ws.on("receive", receive)
    ws.on("close", lambda ws, status: statuses.append(status))
    ws.connect(url)
    if poll_until_closed(ws, seconds):
        return statuses[0]
    ws.close(1001)
    poll_until_closed(ws, CLOSE_SECONDS)
    return "timeout"


def main(url, agent, cases, compressed, seconds):
    """Run the cases of each range."""
    for numbers in cases.split(","):
        first, last = numbers.split("-")
        for number in range(int(first), int(last) + 1):
            print("start", number)
            start = time.time()
            status = session(f"{url}/runCase?case={number}&agent={agent}", echo, seconds, number >= compressed)
            print("end", number, status, int(1000 * (time.time() - start)))
    session(f"{url}/updateReports?agent={agent}", echo, seconds)


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
