"""Test the client on a board: over mpremote, against servers on this computer; print a table for an issue.

Before and after, and when a step fails, the board talks to this computer through a bare socket as well. What that
cannot do either is the network's fault, everything else the client's.
"""

import argparse
import json
import sys
from dataclasses import asdict

from common import board_tester, compiler, remote_board, rigs


def main(argv=None):
    """Run the test; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    remote_board.add_port_argument(parser)
    parser.add_argument("--host", help="this computer's address, as the board sees it (default: found by itself)")
    steps = [*[step.name for step in board_tester.STEPS], board_tester.PROMPT]
    only = "run only this step; repeat for more"
    parser.add_argument("--only", action="append", choices=steps, default=[], metavar="STEP", help=only)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(argv)
    result = board_tester.Report()
    failure = None
    try:
        with remote_board.opened(options.port, options.board) as board, board_tester.without_main(board):
            board_tester.examine(board, options.host, options.only, result)
    except (remote_board.RemoteError, board_tester.StepFailed, compiler.BuildError, rigs.RigMissing) as error:
        failure = str(error)
    except OSError as error:
        failure = f"{options.host}: {error.strerror} (try: --host with an address of this computer)"
    except KeyboardInterrupt:
        failure = "interrupted (try: make board-test again)"
    if options.json:
        print(json.dumps(asdict(result) | {"failure": failure}, indent=2))
    elif result.outcomes:
        print(board_tester.table(result))
    failure = failure or result.verdict
    if failure:
        board_tester.say(failure)
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
