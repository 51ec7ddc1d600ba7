"""Tells what comes of the tables of the opening handshake: `handshake_program.py TOPIC`.

Topics: urls, requests, replies.
"""

import sys

import handshake_cases
from handshake_player import play_all_ways, requested
from plain import tell

from uwebsocket_url import parse_url

AFTER = b"\x81\x02hi\r\n\r\n"  # the first message, which may come in the same segment as the reply


def topic_urls():
    for name, url, _ in handshake_cases.URLS:
        tell(name, parse_url(url))


def topic_requests():
    for name, url, headers, protocols, _, _ in handshake_cases.REQUESTS:
        text, accept, offered = requested(url, headers, protocols, handshake_cases.KEY)
        tell(name, [[line.decode() for line in text.split(b"\r\n")], accept, offered])


def topic_replies():
    for name, reply, protocols, _, _ in handshake_cases.REPLIES:
        told, http_status, left = play_all_ways(reply + AFTER, handshake_cases.ACCEPT, protocols)
        tell(name, [told, http_status, left if isinstance(told, tuple) else None])


globals()["topic_" + sys.argv[1]]()
