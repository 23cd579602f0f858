from pathlib import Path

from helpers import share

share("tiny_language_model", Path(__file__).with_name("tiny_model.py"))
