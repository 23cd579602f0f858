"""Kernels that are compiled for several sizes of heads come out of the cache in another process."""

import os
import subprocess
import sys

PROGRAM = """
import numpy as np
from envzoo.agents.text.models.attention import attention
for size in (2, 4):
    qkv, prompt, past = (np.zeros(shape + (1, size), np.float32) for shape in ((1, 3), (2, 3), (1, 3, 2)))
    kernel = attention(size).attend_next
    kernel(qkv, prompt, 2, 1, past, 0, np.zeros(8, np.float32), np.zeros((1, 1, size), np.float32))
    print(sum(kernel.stats.cache_hits.values()))
"""


def run(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    result = subprocess.run([sys.executable, "-P", "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_a_second_process_compiles_nothing(tmp_path):
    assert run(tmp_path) == ["0", "0"]
    assert run(tmp_path) == ["1", "1"]
