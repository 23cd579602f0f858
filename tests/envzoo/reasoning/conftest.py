import importlib.util
import sys
from pathlib import Path

# The plain verifiers are shared by test files, which pytest's importlib mode does not let import each other.
_spec = importlib.util.spec_from_file_location("reasoning_plain", Path(__file__).with_name("plain.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["reasoning_plain"] = _module
_spec.loader.exec_module(_module)
