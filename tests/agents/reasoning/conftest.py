from pathlib import Path

import pytest
from helpers import share

share("reasoning_training", Path(__file__).with_name("training.py"))
share("reasoning_numbers", Path(__file__).with_name("random_numbers.py"))


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
