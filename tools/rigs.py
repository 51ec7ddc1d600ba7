"""List the interpreters, compilers and servers that are here, and what was left out."""

import argparse
import sys

from common import rigs


def main(argv=None):
    """List the rigs; see --help."""
    parser = argparse.ArgumentParser(description="List the interpreters that are here and what was left out.")
    parser.parse_args(argv)
    print("here:", ", ".join(name for name in rigs.names() if name not in rigs.missing()) or "nothing")
    for name, reason in rigs.missing().items():
        print(f"left out: {name}: {reason}")
    if not rigs.missing():
        print("left out: nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
