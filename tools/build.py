"""Compile the device code to .mpy: build/mpy/, and the viper masker per architecture to build/mpy-<arch>/."""

import argparse
import sys

from common import compiler, rigs


def main(argv=None):
    """Compile the device code; see --help."""
    parser = argparse.ArgumentParser(description="Compile the device code to build/mpy and build/mpy-<arch>.")
    parser.add_argument(
        "--arch",
        action="append",
        choices=compiler.ARCHITECTURES,
        default=[],
        help="also compile the masker for this architecture; repeat for more",
    )
    parser.add_argument("--dry-run", action="store_true", help="only name the files")
    options = parser.parse_args(argv)
    if options.dry_run:
        masker = [rigs.DEVICE / compiler.MASKER] * bool(options.arch)
        for path in [*compiler.sources(), *masker, *compiler.extra_sources()]:
            print(path.relative_to(rigs.ROOT))
        return 0
    try:
        targets = [*compiler.build_all(options.arch), *compiler.build_extras()]
    except (compiler.BuildError, rigs.RigMissing) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    for target in targets:
        print(f"{target.relative_to(rigs.ROOT)}  {target.stat().st_size} B")
    return 0


if __name__ == "__main__":
    sys.exit(main())
