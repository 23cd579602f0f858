from pathlib import Path

from helpers import share

share("replaying", Path(__file__).with_name("replaying.py"))
