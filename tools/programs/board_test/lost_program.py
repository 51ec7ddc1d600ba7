"""Connects to servers that are away, fall silent or go."""


def step(kit, url, message, params, statuses):
    """Return the status that "close" tells: one of `statuses`. `message`: what the server awaits, None for nothing."""
    kit.begin(url, params)
    if message:
        kit.take("connection")
        kit.ws.send(message)
    status = kit.take("close")
    if status not in statuses:
        raise kit.Failed(f'"close" told {status} instead of {statuses[0]}')
    return {"status": status}
