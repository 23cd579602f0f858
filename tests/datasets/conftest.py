import pytest


@pytest.fixture(autouse=True)
def minari_root(tmp_path, monkeypatch):
    """A Minari root of the test's own."""
    root = tmp_path / "minari"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    return root
