# boot.py: connects any board to the Wi-Fi network that wifi.json names. MIT licence, see LICENSE.
"""Runs at every start, before main.py; nothing that goes wrong here keeps main.py from running.

The firmware remembers what it was told to connect to, and tries again by itself, now and whenever the network is lost.
"""


def connect():
    """Begin to connect, wait for some seconds, and print one line that says how far it came."""
    import json
    import time

    import network

    try:
        with open("wifi.json") as file:
            text = file.read().rstrip()
        wifi = json.loads(text)
        ssid, password = wifi["ssid"], wifi["password"]
        if not (isinstance(ssid, str) and isinstance(password, str) and ssid):
            raise ValueError("ssid and password are texts")
        if text[-1] != "}":  # MicroPython up to 1.25 takes an object that is cut off behind a value
            raise ValueError("the end is missing")
    except OSError:
        print("wifi: no wifi.json, so no network (try: make deploy ARGS=--wifi)")
        return
    except (IndexError, KeyError, TypeError, ValueError) as error:
        print(f"wifi: wifi.json is wrong: {error!r} (try: as in boards/wifi.example.json)")
        return

    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if not (wlan.isconnected() and wlan.config("ssid") == ssid):  # a soft reset leaves Wi-Fi as it was
        if wlan.status() != network.STAT_IDLE:
            wlan.disconnect()  # the ESP32 takes no network while it still tries another
        wlan.connect(ssid, password)
        for _ in range(70):  # 7 s: after a soft reset mpremote waits 10 s for the board
            time.sleep_ms(100)
            if wlan.isconnected():
                break
    if wlan.isconnected():
        print(f"wifi: connected to {ssid} as {wlan.ifconfig()[0]}")
        return
    status = wlan.status()
    reasons = {
        network.STAT_CONNECTING: "no answer yet",
        network.STAT_NO_AP_FOUND: "no such network in reach",
        network.STAT_WRONG_PASSWORD: "wrong password",
    }
    print(f"wifi: not connected to {ssid}: {reasons.get(status, status)}; goes on trying")


try:
    connect()
except Exception as error:
    print(f"wifi: not connected: {error!r} (try: a reset)")
del connect
