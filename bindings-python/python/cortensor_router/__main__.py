"""`python -m cortensor_router`: the `cortensor-router` command."""

from __future__ import annotations

import signal
import sys

from . import _native


def main() -> None:
    """Runs the command and ends with its exit status."""
    # Python's own handler waits until Python runs again, which never happens while the command works.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.command(["cortensor-router", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
