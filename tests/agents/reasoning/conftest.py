import importlib.util
import sys
from pathlib import Path

import pytest

# Shared by test files, which pytest's importlib mode does not let import each other.
_spec = importlib.util.spec_from_file_location("reasoning_training", Path(__file__).with_name("training.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["reasoning_training"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
