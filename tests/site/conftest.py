"""The helper of these tests is a module of its own."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("webdriver_client", Path(__file__).with_name("webdriver.py"))
sys.modules["webdriver_client"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["webdriver_client"])
