from pathlib import Path

from helpers import share

share("function_arms", Path(__file__).with_name("function_arms.py"))
