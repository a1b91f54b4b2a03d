"""A process that is interrupted once it says that it has begun, as by Ctrl-C; and what it says then."""

import signal
import subprocess
import sys

# A job in the background ignores interrupts, and so would the processes that it starts.
HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def interrupted(code, begun):
    """The exit code and the errors of a program that prints the line ``begun`` and then never ends by itself."""
    exit_code, _, errors = ended(code, begun + "\n")
    return exit_code, errors


def ended(code, begun):
    """The exit code, the output after a line that begins with ``begun``, and the errors of a program like that."""
    with subprocess.Popen([sys.executable, "-c", HEEDING + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(begun), line + process.stderr.read()
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, output, errors


def command(*words):
    """A program that runs a command as from the command line."""
    return f"import sys\nfrom oddlens.cli import main\nsys.argv = {['oddlens', *map(str, words)]!r}\nmain()\n"
