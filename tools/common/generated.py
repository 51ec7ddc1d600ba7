"""The generated parts of the documents: what stands between `<!-- name:begin -->` and `<!-- name:end -->`."""


def write(path, name, text):
    """Put `text` between the markers of block `name` in the file `path`; ValueError where they are not in it."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, found, rest = path.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{path.name} has no block for the result (try: add the lines {begin} and {end})")
    path.write_text(f"{head}{begin}\n{text}\n{end}{tail}")
