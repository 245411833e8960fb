"""`python -m edgecomp`."""

import subprocess
import sys


def test_the_module_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "edgecomp", "boards"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mps2-an386" in done.stdout
