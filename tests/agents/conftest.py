from pathlib import Path

from helpers import share

share("agent_worlds", Path(__file__).with_name("worlds.py"))
share("checkpoint_files", Path(__file__).with_name("checkpoint_files.py"))
