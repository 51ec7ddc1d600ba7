"""Tables in Markdown, and the generated sections of documents that hold them."""

import datetime
import re
import sys


def table(header, rows):
    """Return a Markdown table of strings."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def aligned(header, rows):
    """Return the same table for a terminal."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def origin(command, *interpreters):
    """Return the line that says where figures come from: command, interpreters, date."""
    return f"`{command}`, {', '.join(interpreters)}, {datetime.date.today().isoformat()}"


def write_section(path, name, text):
    """Put `text` between `<!-- name:begin -->` and `<!-- name:end -->` of a document.

    Returns whether it was done: a document without the two marks is left alone and named on stderr.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = path.read_text() if path.exists() else ""
    section = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not section.search(old):
        print(f"{path.name} has no section {name} (try: add the lines {begin} and {end})", file=sys.stderr)
        return False
    new = section.sub(lambda _: f"{begin}\n{text}\n{end}", old)
    if new != old:
        path.write_text(new)
    return True
