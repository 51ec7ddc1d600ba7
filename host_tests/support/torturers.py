"""Runs what a torturer plays at every moment, on all cores, and tells how to replay what went wrong.

A torturer has a name and `play(transport, scene, action, turn)`, which returns an Outcome. `Torturer.check` plays
actions at the moments of a scene: an action has a share of the moments, 1 for every moment; others are drawn from the
seed.
"""

import multiprocessing
import os
import random
from collections import Counter
from dataclasses import dataclass, field

_SHOWN = 12
_TRIED = 40  # moments at which a fault that was put in must show
_LEAST = 5  # runs of an action in a scene


@dataclass
class Outcome:
    """How a run went: the number of moments up to its end or its interruption, where that was, what was wrong."""

    count: int
    place: str | None
    problems: list = field(default_factory=list)


class Torturer:
    """Plays and counts; one for each test session.

    `only` is the case to replay, None for all; with `everything` no samples are drawn.
    """

    def __init__(self, seed=0, only=None, everything=False):
        self.seed = seed
        self.everything = everything
        self.only = only
        self.runs = Counter()

    def check(self, name, play, transport, scene, actions, share=1.0, least=3):
        """Play everything; AssertionError that names the cases that went wrong.

        `actions`: {action: its share of the moments}; `share`: of all of them. `least`: moments that there are at
        least, so that a torturer which finds none does not pass.
        """
        wanted = self.only.split("/") if self.only else None
        if wanted:
            if wanted[:3] != [name, transport, scene]:
                return
            cases = [(wanted[3], int(wanted[4]))]
        else:
            count = play(transport, scene, next(iter(actions)), None).count
            assert count >= least, "the moments were not found"
            draw = random.Random(f"{self.seed}/{name}/{transport}/{scene}")
            cases = []
            for action, part in actions.items():
                part = 1 if self.everything else part * share
                size = min(count, max(_LEAST, round(count * part)))
                cases += [(action, turn) for turn in draw.sample(range(count), size)]
        found = _spread(lambda case: play(transport, scene, *case), cases)
        self.runs[name] += sum(outcome.place is not None for outcome in found)
        wrong = [
            f"  {name}/{transport}/{scene}/{action}/{turn} at {outcome.place}: {'; '.join(outcome.problems[:3])}"
            for (action, turn), outcome in zip(cases, found, strict=True)
            if outcome.problems
        ]
        assert not wrong, self._told(wrong, len(cases))

    def _told(self, wrong, played):
        lines = [f"{len(wrong)} of {played} runs went wrong (replay one: pytest --torture CASE, seed {self.seed}):"]
        # a few of each action, for one fault often shows in hundreds of runs
        shown = random.Random(self.seed).sample(wrong, min(len(wrong), _SHOWN))
        return "\n".join(lines + sorted(shown))


def faults(play, transport, scene, action, wrong):
    """Return all that is found with a client that is wrong on purpose."""
    count = play(transport, scene, action, None).count
    step = max(1, count // _TRIED)
    outcomes = [play(transport, scene, action, turn, wrong) for turn in range(0, count, step)]
    return [problem for outcome in outcomes for problem in outcome.problems]


def _spread(play, cases):
    """Return what `play` returns for each case; the cases are spread over processes, one for each core."""
    workers = min(len(os.sched_getaffinity(0)), len(cases))
    if workers < 2 or len(cases) < 20:
        return [play(case) for case in cases]
    fork = multiprocessing.get_context("fork")
    running = []
    for number in range(workers):
        ours, theirs = fork.Pipe(False)
        process = fork.Process(target=_work, args=(play, cases[number::workers], theirs))
        process.start()
        theirs.close()
        running.append((process, ours))
    found = [None] * len(cases)
    for number, (process, pipe) in enumerate(running):
        try:
            found[number::workers] = pipe.recv()
        except EOFError:
            process.join()
            raise AssertionError(f"a process of the torturer has ended by itself: {process.exitcode}") from None
        process.join()
    return found


def _work(play, cases, pipe):
    parent = os.getppid()
    found = []
    for case in cases:
        if os.getppid() != parent:
            return  # the session was ended
        found.append(play(case))
    pipe.send(found)
    pipe.close()
