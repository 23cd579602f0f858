"""A review of every dataset of reasoning-gym: which scorers may receive a model's answer, and why.

The scorers were reviewed in version 0.1.25 of the package, with everything that they call. Datasets that are not listed
here are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from envzoo.reasoning.safe_scoring.arithmetic import score_countdown, score_puzzle24
from envzoo.reasoning.safe_scoring.integrals import score_integral
from envzoo.reasoning.safe_scoring.literals import (
    score_binary_matrix,
    score_bitwise_arithmetic,
    score_n_queens,
    score_number_sorting,
    score_spiral_matrix,
    score_string_insertion,
)
from envzoo.reasoning.safe_scoring.polynomials import score_polynomial_multiplication
from envzoo.reasoning.safe_scoring.propositions import score_propositional_logic
from envzoo.reasoning.safe_scoring.screens import (
    admits_boxnet,
    admits_coin_flip,
    admits_complex_arithmetic,
    admits_moves,
    admits_pool_matrix,
    admits_prime_factorization,
    admits_rubiks_cube,
    admits_rush_hour,
)

REVIEWED_VERSION = "0.1.25"

# Why a scorer of the package is safe unchanged. All take time linear in the answer, or nearly so.
TEXT = "compares the answer, or its words or characters, with the right ones"
NUMBER = "reads numbers with int, float or Decimal"
JSON = "reads JSON, and looks up the requested parts of the puzzle"
GRID = "reads a grid of single cells"
MOVES = "plays the moves on a small board, at constant cost for each"


@dataclass(frozen=True)
class Review:
    """Result of the review of a dataset. Exactly one of the four fields is set.

    Attributes:
        safe: Why the package's scorer is safe unchanged.
        own: A parser and scorer of envzoo, a pure function of the answer and the entry.
        screen: Which answers may reach the package's scorer; all others are wrong.
        refused: Why the dataset is not supported.
    """

    safe: str = ""
    own: Callable[[str, dict[str, Any]], float] | None = None
    screen: Callable[[str], bool] | None = None
    refused: str = ""

    @property
    def kind(self) -> str:
        """Kind of the result: "safe as is", "own parser", "screened" or "refused"."""
        return "safe as is" if self.safe else "own parser" if self.own else "screened" if self.screen else "refused"


_SAFE = {
    TEXT: """ab acre aiw arc_1d base_conversion basic_arithmetic bf binary_alternation caesar_cipher circuit_logic
        color_cube_rotation count_bits count_primes course_schedule dice emoji_mystery family_relationships figlet_font
        game_of_life_halting gcd isomorphic_strings knights_knaves largest_island lcm leg_counting letter_counting
        letter_jumble list_functions mahjong_puzzle manipulate_matrix maze modulo_grid needle_haystack number_filtering
        number_sequence palindrome_generation path_star ransom_note rotate_matrix rotten_oranges self_reference
        sentence_reordering simple_equations simple_geometry spell_backward string_manipulation string_splitting
        string_synthesis syllogism tsumego word_ladder word_sequence_reversal word_sorting zebra_puzzles""",
    NUMBER: """advanced_geometry calendar_arithmetic chain_sum cryptarithm decimal_arithmetic decimal_chain_sum
        fraction_simplification gsm_symbolic number_format polynomial_equations power_function products rectangle_count
        time_intervals""",
    JSON: "game_of_life graph_color group_anagrams palindrome_partitioning",
    GRID: "arc_agi futoshiki kakurasu mini_sudoku rearc sudoku survo",
    MOVES: "jugs knight_swap shortest_path tower_of_hanoi",
}  # fmt: skip

_OWN = {
    "binary_matrix": score_binary_matrix,
    "bitwise_arithmetic": score_bitwise_arithmetic,
    "countdown": score_countdown,
    "intermediate_integration": score_integral,
    "n_queens": score_n_queens,
    "number_sorting": score_number_sorting,
    "polynomial_multiplication": score_polynomial_multiplication,
    "propositional_logic": score_propositional_logic,
    "puzzle24": score_puzzle24,
    "simple_integration": score_integral,
    "spiral_matrix": score_spiral_matrix,
    "string_insertion": score_string_insertion,
}

_SCREENED = {
    "boxnet": admits_boxnet,
    "coin_flip": admits_coin_flip,
    "complex_arithmetic": admits_complex_arithmetic,
    "pool_matrix": admits_pool_matrix,
    "prime_factorization": admits_prime_factorization,
    "quantum_lock": admits_moves,
    "rubiks_cube": admits_rubiks_cube,
    "rush_hour": admits_rush_hour,
    "sokoban": admits_moves,
}

_REFUSED = {
    "codeio": "it executes programs from a data file to make its questions, and its scorer compares trees of JSON "
    "without a bound on its time",
    "composite": "it takes other datasets for its configuration and is no source of problems of its own",
}

REVIEWS: dict[str, Review] = {
    **{name: Review(safe=reason) for reason, names in _SAFE.items() for name in names.split()},
    **{name: Review(own=scorer) for name, scorer in _OWN.items()},
    **{name: Review(screen=screen) for name, screen in _SCREENED.items()},
    **{name: Review(refused=reason) for name, reason in _REFUSED.items()},
}
