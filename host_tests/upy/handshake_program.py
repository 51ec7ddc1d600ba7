"""Tells what comes of the tables of the opening handshake: `handshake_program.py TOPIC`.

Topics: urls, requests, replies, headers.
"""

import sys

import handshake_cases
from handshake_player import parsed, play_all_ways, requested
from plain import tell

AFTER = b"\x81\x02hi\r\n\r\n"  # the first message, which may come in the same segment as the reply


def topic_urls():
    for name, url, _ in handshake_cases.URLS:
        tell(name, parsed(url))


def topic_requests():
    for name, url, headers, protocols, _, _ in handshake_cases.REQUESTS:
        first = requested(url, headers, protocols, handshake_cases.KEY)
        for most in (1, 7, 100):
            if requested(url, headers, protocols, handshake_cases.KEY, most) != first:
                name += " differs where {} bytes are written at once".format(most)
        text, accept, offered = first
        tell(name, [[line.decode() for line in text.split(b"\r\n")], accept, offered])


def topic_replies():
    for name, reply, protocols, _, _ in handshake_cases.REPLIES:
        told, http_status, left, error = play_all_ways(reply + AFTER, handshake_cases.ACCEPT, protocols)
        with_headers = play_all_ways(reply + AFTER, handshake_cases.ACCEPT, protocols, [])
        if with_headers[:2] != (told, http_status):
            told = told, with_headers
        tell(name, [told, http_status, left if isinstance(told, tuple) else None, error])


def topic_headers():
    for name, reply, _ in handshake_cases.HEADERS:
        headers = []
        outcome = play_all_ways(reply + AFTER, handshake_cases.ACCEPT, handshake_cases.PROTOCOLS, headers)
        tell(name, [headers, outcome[0]])


globals()["topic_" + sys.argv[1]]()
