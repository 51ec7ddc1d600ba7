"""Changes options as config() does."""

from _wsconfig import changes


def update(options, params, load):
    """Return `options` as config(params) changes them."""
    new = list(options)
    for i, value in changes(options, params, load):
        new[i] = value
    return tuple(new)
