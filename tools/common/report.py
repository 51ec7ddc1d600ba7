"""Tables of measured figures, for documents and for the terminal."""

import datetime


def markdown(header, rows):
    """Return a Markdown table of strings."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def aligned(header, rows):
    """Return the same table for a terminal."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def origin(command, *interpreters):
    """Return the line that says where figures come from: command, interpreters, date."""
    return f"`{command}`, {', '.join(interpreters)}, {datetime.date.today().isoformat()}"
