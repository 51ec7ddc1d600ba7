"""One TCP connection between the board and a peer: segments, acknowledgements, Nagle, windows, FIN and RST.

The peer behaves like Linux: it acknowledges two full segments at once, else with its next data or after 40 ms.
"""

from collections import deque

from .profiles import WAIT

DELAYED_ACK_MS = 40


class Connection:
    """The wire, and the TCP of both ends.

    `local` is told of what reaches the board: established(), arrived(data), ended(), failed(cause). `peer` is the
    other end: segment(data), fin_came(), rst_came().
    """

    def __init__(self, clock, profile, latency_ms, local):
        self._clock = clock
        self._profile = profile
        self._latency_ms = latency_ms
        self._local = local
        self.peer = None
        self.nodelay = False
        self.memory_short_until = 0
        self._established = False
        self._silent = False
        self._over = False
        # board to peer
        self._unsent = deque()
        self._in_flight = deque()
        self._fin_due = False
        self._flush = None
        self._closing = None
        self._giving_up = None
        self._peer_window_open = True
        self._peer_gone = False
        self._unacknowledged = 0
        self._delayed_ack = None
        # peer to board
        self._outgoing = deque()  # (when it arrives, data or None for FIN)
        self._unread = 0
        self._local_closed = False

    # The board's end

    def begin(self, accept):
        """Send SYN to a server, which calls `accept()`; the handshake takes a round trip."""
        self._pass(accept)
        self._clock.after(2 * self._latency_ms, self._answered)

    @property
    def free(self):
        """Bytes that the send buffer takes now; lwip shows room even where `queue` then fails."""
        if self._profile.full_queue == WAIT and self._crowded(1):
            return 0
        return self._profile.send_buffer - sum(map(len, self._unsent)) - sum(self._in_flight)

    def queue(self, data):
        """Put data that fits into the send buffer; return False where lwip's segment queue or memory is short."""
        mss = self._profile.mss
        last = len(self._unsent[-1]) if self._unsent else mss
        first = min(len(data), mss - last)
        pieces = [data[start : start + mss] for start in range(first, len(data), mss)]
        if self._profile.full_queue != WAIT and self._crowded(len(pieces)):
            return False
        if first:
            self._unsent[-1] += data[:first]
        self._unsent.extend(bytearray(piece) for piece in pieces)
        if not self._profile.flush_delay_ms:
            self._output()
        elif not self._flush:
            self._flush = self._clock.after(self._profile.flush_delay_ms, self._flushed)
        return True

    def was_read(self, size):
        """The program has read so much: the window opens, and what waits for it comes."""
        self._unread -= size
        if self._outgoing:
            self._clock.after(2 * self._latency_ms, self._deliver)

    def close(self):
        """The program closes its socket: FIN after the data, RST where something was left unread."""
        self._local_closed = True
        if not self._established:
            return
        if self._unread:
            self._reset_peer()
            return
        self._fin_due = True
        self._output()
        if self._profile.close_timeout_ms:
            self._closing = self._clock.after(self._profile.close_timeout_ms, self._reset_peer)

    def fail(self, cause):
        """The board's TCP gives the connection up, for a key of the profile's `becomes`."""
        if self._over:
            return
        self._silent = True
        self._forget()
        if not self._local_closed:
            self._local.failed(cause)

    def vanish(self):
        """Nothing passes from now on, in either direction."""
        self._silent = True
        self._watch_retransmissions()

    # The peer's end

    def transmit(self, data):
        """The peer sends data, None for FIN; an acknowledgement goes along."""
        mss = self._profile.mss
        pieces = [None] if data is None else [data[start : start + mss] for start in range(0, len(data), mss)]
        self._outgoing.extend((self._clock.now + self._latency_ms, piece) for piece in pieces)
        self._acknowledge()
        self._clock.after(self._latency_ms, self._deliver)

    def abort(self):
        """The peer sends RST, and forgets what it had not sent."""
        self._peer_gone = True
        self._pass(self._reset_local)

    def leave(self):
        """The peer is closed: it answers later data by RST."""
        self._peer_gone = True

    def hold(self):
        """The peer closes its window."""
        self._peer_window_open = False

    def resume(self):
        """The peer opens its window again."""
        self._peer_window_open = True
        self._pass(self._output)

    # Inside

    def _answered(self):
        if self._silent:
            self._clock.after(self._profile.syn_timeout_ms, lambda: self.fail("unanswered"))
            return
        self._established = True
        if self._local_closed:
            self._reset_peer()
        else:
            self._local.established()
            self._output()

    def _crowded(self, more):
        queued = len(self._unsent) + len(self._in_flight)
        return self._clock.now < self.memory_short_until or (more and queued + more > self._profile.send_queue)

    def _pass(self, call):
        self._clock.after(self._latency_ms, lambda: None if self._silent else call())

    def _flushed(self):
        self._flush = None
        self._output()

    def _output(self):
        """Send what Nagle, the window and the handshake allow (lwip: tcp_output_nagle)."""
        if self._over or not self._established:
            return
        if self._silent:
            self._watch_retransmissions()
            return
        while self._unsent and self._peer_window_open and self._may_send():
            segment = bytes(self._unsent.popleft())
            self._in_flight.append(len(segment))
            self._pass(lambda segment=segment: self._segment_at_peer(segment))
        if self._fin_due and not self._unsent:
            self._fin_due = False
            self._pass(self._fin_at_peer)

    def _may_send(self):
        full = len(self._unsent) > 1 or len(self._unsent[0]) >= self._profile.mss
        return self.nodelay or not self._in_flight or full or self._fin_due

    def _segment_at_peer(self, segment):
        if self._peer_gone:
            self._pass(self._reset_local)
            return
        self._unacknowledged += len(segment)
        self.peer.segment(segment)
        if self._unacknowledged >= 2 * self._profile.mss:
            self._acknowledge()
        elif self._unacknowledged and not self._delayed_ack:
            self._delayed_ack = self._clock.after(DELAYED_ACK_MS, self._acknowledge)

    def _acknowledge(self):
        if self._delayed_ack:
            self._delayed_ack.cancel()
            self._delayed_ack = None
        size, self._unacknowledged = self._unacknowledged, 0
        if size:
            self._pass(lambda: self._acknowledged(size))

    def _acknowledged(self, size):
        while size and self._in_flight:
            size -= self._in_flight.popleft()
        self._output()

    def _fin_at_peer(self):
        if self._closing:
            self._closing.cancel()
        self.peer.fin_came()

    def _forget(self):
        """This connection is over: drop what was not sent, and every timer."""
        self._over = True
        self._unsent.clear()
        self._in_flight.clear()
        self._outgoing.clear()
        for timer in (self._flush, self._closing, self._giving_up):
            if timer:
                timer.cancel()

    def _reset_peer(self):
        if not self._over:
            self._forget()
            if self._established:
                self._pass(self.peer.rst_came)

    def _reset_local(self):
        if not self._over:
            self._forget()
            if not self._local_closed:
                self._local.failed("reset")

    def _deliver(self):
        """Hand the board what its window takes."""
        while self._outgoing and not self._silent:
            arrives_ms, data = self._outgoing[0]
            if arrives_ms > self._clock.now:
                return
            if data is not None and self._local_closed:
                self._reset_peer()
                return
            if data is not None and self._unread + len(data) > self._profile.window:
                return
            self._outgoing.popleft()
            if data is None:
                if not self._local_closed:
                    self._local.ended()
                continue
            self._unread += len(data)
            self._local.arrived(data)

    def _watch_retransmissions(self):
        if self._silent and (self._in_flight or self._unsent) and not self._giving_up:
            self._giving_up = self._clock.after(self._profile.retransmit_ms, lambda: self.fail("gone"))
