"""The set-up of every test of the package."""

from __future__ import annotations

import signal

# A job of a shell may have inherited that Ctrl-C is ignored, and a Python program keeps it so. Programs that a test
# starts have a terminal's Ctrl-C instead.
signal.signal(signal.SIGINT, signal.default_int_handler)
