"""TextTilt: sequences of a bigram model, rewarded for the number of their distinct symbols."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.kernel.arguments import check_whole
from envzoo.preference.bigram import FIRST, BigramTask, demonstrate, recognise, write
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import TaskKernels


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    symbols = parameters.cumulative.shape[0]
    rewards = np.zeros(prompts.shape[0], np.float32)
    seen = np.zeros(symbols, np.bool_)
    for i in range(rewards.size):
        if ends[i] != parameters.length or not 0 <= prompts[i, 0] - FIRST < symbols:
            continue
        seen[:] = False
        right = True
        for k in range(parameters.length):
            symbol = answers[i, k] - FIRST
            if 0 <= symbol < symbols:
                seen[symbol] = True
            else:
                right = False
        rewards[i] = seen.sum() if right else 0.0
    return rewards


class Tilt(BigramTask):
    """Problems of TextTilt; see `TextTilt` for the manual and the arguments."""

    name = "TextTilt"
    kernels = TaskKernels(write, recognise, _verify, demonstrate)

    def __init__(self, symbols: int = 12, length: int = 8, spread: float = 1.0, model_seed: int = 0) -> None:
        self._build(symbols, length, spread, model_seed)
        self.instruction = (
            f"Continue with {self.length} letters from {self.alphabet[0]} to {self.alphabet[-1]}, as many different "
            "ones as possible."
        )

    def reward_law(self, prompt: int) -> np.ndarray:
        """Compute P(number of distinct symbols = k) of the bigram model's answers to a prompt, (symbols + 1,).

        Args:
            prompt: Index of the symbol that the prompt shows.

        A recursion over the last symbol and the set of symbols so far.
        """
        symbols = len(self.transitions)
        prompt = check_whole("prompt", prompt, 0, symbols - 1)
        mass = np.zeros((symbols, 2**symbols))
        sets = np.arange(2**symbols)
        mass[np.arange(symbols), 1 << np.arange(symbols)] = self.transitions[prompt]
        for _ in range(self.length - 1):
            flow = self.transitions.T @ mass  # (next symbol, set before)
            mass = np.zeros_like(mass)
            for symbol in range(symbols):
                mass[symbol] = np.bincount(sets | (1 << symbol), flow[symbol], minlength=2**symbols)
        sizes = np.array([int(member).bit_count() for member in sets])
        return np.bincount(sizes, mass.sum(0), minlength=symbols + 1)


@with_shared_manual
class TextTilt(TextEpisode):
    """Continue a letter with as many different letters as possible, near a bigram model whose laws are known exactly.

    ## Description
    The prompt is one letter, and the base policy is a fixed bigram model that continues it with `length` letters. The
    reward of an answer is the number of its distinct letters. The reward is not additive, so the best policy under a
    budget of KL divergence is no longer a product; but the law of the reward under the bigram model is known exactly
    (`task.reward_law`), and with it the tilts of `envzoo.agents.preference.tilting` and the law of best-of-N. With few
    letters all answers can be enumerated. A testbed for the theory of Yang et al. 2024 (arXiv 2404.01730) on language
    models: the demonstrations are samples of the bigram model, so a model trained on them approaches it.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(symbols + 2)`, the next token: 0 padding
    (never right), 1 the end token, then the letters.

    $observation
    The number of distinct letters, if the answer has exactly `length` letters; else 0.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

    $start_and_end
    - `symbols` (12): number of letters, 2 to 12.
    - `length` (8): number of letters of an answer, at most 64.
    - `spread` (1.0): standard deviation of the logits of the bigram model.
    - `model_seed` (0): seed of these logits.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Samples of the bigram model, whatever the noise.

    ## Registered ids
    - `envzoo/TextTilt-v0`: the text environment, one answer per step.
    - `envzoo/TextTilt-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self, symbols: int = 12, length: int = 8, spread: float = 1.0, model_seed: int = 0, split: str = "train"
    ) -> None:
        super().__init__(Tilt(symbols, length, spread, model_seed), split)


TextTiltEnv, TextTiltTokensEnv, TextTiltTokensVectorEnv = make_faces(TextTilt)
