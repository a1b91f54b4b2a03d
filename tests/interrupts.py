"""A process that is interrupted once it says that it has begun, as by Ctrl-C; and what it says then."""

import signal
import subprocess
import sys

# A job in the background ignores interrupts, and so would the processes that it starts.
HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def interrupted(code, begun):
    """The exit code and the errors of a program that prints the line ``begun`` and then never ends by itself."""
    with subprocess.Popen([sys.executable, "-c", HEEDING + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            assert process.stdout.readline() == begun + "\n"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, said
