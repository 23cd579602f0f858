from pathlib import Path

from helpers import share

share("cli_runs", Path(__file__).with_name("cli_runs.py"))
share("resumed_runs", Path(__file__).with_name("resumed_runs.py"))
