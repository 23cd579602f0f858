import pytest

from envzoo.scripts.make_dataset import make_dataset

MADE = {"envzoo/line-world/striped-v0": 400, "envzoo/point-maze-stitch/mixed-v0": 20}


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    """A Minari root with small forms of the datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        for dataset_id, episodes in MADE.items():
            make_dataset(dataset_id, quiet=True, episodes=episodes)
        yield
