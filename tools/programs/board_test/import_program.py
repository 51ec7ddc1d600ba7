"""Imports the client, and measures what that takes."""


def step():
    """Return the free heap before, and what the client keeps (None: it was there already); or why it does not load."""
    import gc
    import sys

    loaded = "uwebsocket_client" in sys.modules
    gc.collect()
    free = gc.mem_free()
    try:
        import uwebsocket_client  # noqa: F401
    except ImportError as error:
        return {"missing": str(error)}
    except Exception as error:  # a damaged file raises anything
        return {"failed": f"{type(error).__name__} {error}"}
    gc.collect()
    return {"free": free, "kept": None if loaded else free - gc.mem_free()}
