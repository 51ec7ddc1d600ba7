"""The statuses of "close" as docs/statuses.md tells them: what each means, and what to do about it."""

import functools
import re

from common import rigs

PAGE = rigs.ROOT / "docs" / "statuses.md"


@functools.cache
def table():
    """Return {status: (cause, remedy)}, as plain text."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if re.fullmatch(r"-?\d+", cells[0]):
            found[int(cells[0])] = (cells[1], cells[-1])
    return found


def explain(status):
    """Return what a status means and its remedy, None where the page does not have it."""
    return table().get(status)
