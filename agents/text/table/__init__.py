"""An exact testbed for losses of language models: a softmax table in place of the network (see `TokenTable`)."""

from envzoo.agents.text.table.puzzle import TokenPuzzle, build_puzzle
from envzoo.agents.text.table.puzzles import countdown, sum_to, sum_to_rules, walk
from envzoo.agents.text.table.token_table import Exact, TokenTable

__all__ = ["Exact", "TokenPuzzle", "TokenTable", "build_puzzle", "countdown", "sum_to", "sum_to_rules", "walk"]
