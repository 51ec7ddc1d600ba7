"""Talk to MicroPython on a board, with mpremote as the terminal; Ctrl-] ends, Ctrl-D resets the interpreter."""

import argparse
import subprocess
import sys

from common import remote_board


def main(argv=None):
    """Open the terminal; see --help."""
    parser = argparse.ArgumentParser(description=__doc__)
    remote_board.add_port_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="only print the command")
    options = parser.parse_args(argv)
    try:
        with remote_board.opened(options.port, options.board) as board:
            command = board.command("repl")
            if options.dry_run:
                print(*command)
                return 0
            if not sys.stdin.isatty():
                print("repl: this is no terminal (try: mpremote exec or run)", file=sys.stderr)
                return 1
            remote_board.check_free(board.port)
            if code := subprocess.run(command, check=False).returncode:
                print(f"repl: mpremote ended with {code} (try: make doctor)", file=sys.stderr)
                return 1
    except remote_board.RemoteError as error:
        print(f"repl: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
