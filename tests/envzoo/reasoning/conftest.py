from pathlib import Path

from helpers import share

share("reasoning_plain", Path(__file__).with_name("plain.py"))
