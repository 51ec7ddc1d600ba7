"""The fake clock: time moves only when it is told to, from one event to the next."""

import heapq
import itertools

HOUR_MS = 3600000


class Event:
    """Something that is due at a time; `cancel()` takes it back."""

    def __init__(self, call):
        self.call = call

    def cancel(self):
        """Make the event do nothing."""
        self.call = None


class Clock:
    """Milliseconds and what is due when."""

    def __init__(self):
        self.now = 0
        self._queue = []
        self._order = itertools.count()

    def after(self, delay_ms, call):
        """Let `call()` happen in `delay_ms`; events of one moment keep their order. Returns the Event."""
        event = Event(call)
        heapq.heappush(self._queue, (self.now + delay_ms, next(self._order), event))
        return event

    def next_ms(self):
        """Return when the next event is due, None where nothing is."""
        while self._queue and self._queue[0][2].call is None:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def step(self, until_ms):
        """Move to when the next event is due, at most to `until_ms`, and let all happen that is due then."""
        due = self.next_ms()
        self.now = max(self.now, until_ms if due is None else min(due, until_ms))
        while (due := self.next_ms()) is not None and due <= self.now:
            heapq.heappop(self._queue)[2].call()
