"""Tells what uwebsocket_deflate makes of the tables: `deflate_program.py TOPIC`, replies or messages."""

import sys

import deflate_cases
from deflate_player import agreed, play_all_ways
from plain import tell
from protocol_cases import in_pieces


def topic_replies():
    for name, bits, value, _ in deflate_cases.REPLIES:
        tell(name, agreed(bits, value))


def topic_messages():
    for name, stream, _, options in deflate_cases.runs(in_pieces):
        tell(name, play_all_ways(stream, **options))


globals()["topic_" + sys.argv[1]]()
