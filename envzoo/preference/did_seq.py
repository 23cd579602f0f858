"""DIDSeq: short sequences with two targets, one that concentrates a bigram model and one that spreads it."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice, check_number, check_whole
from envzoo.preference.bigram import FIRST, BigramTask, demonstrate, recognise, write
from envzoo.preference.did import did_entropy, optimal_rejected
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import EOS, TaskKernels

TARGETS = ("boosted", "tempered")
MOST_SEQUENCES = 20_000


@njit(cache=True)
def _no_rewards(parameters, prompts, answers, ends):
    return np.zeros(prompts.shape[0], np.float32)


class Sequences(BigramTask):
    """Problems of DIDSeq; see `DIDSeq` for the manual and the arguments.

    Attributes:
        sequences: (n, length) int64, all sequences of letters, as indices.
        reference: (symbols, n), their probabilities under the bigram model after each prompt.
        target: (symbols, n), those of the target.
        rejected: (symbols, n), those of the sampler of rejected answers.
    """

    name = "DIDSeq"
    kernels = TaskKernels(write, recognise, _no_rewards, demonstrate)

    def __init__(
        self,
        target: str = "boosted",
        symbols: int = 5,
        length: int = 4,
        beta: float = 0.1,
        boost: float = 200.0,
        boosted: int = 5,
        temper: float = 0.5,
        spread: float = 1.0,
        model_seed: int = 0,
    ) -> None:
        self._build(symbols, length, spread, model_seed)
        count = len(self.alphabet) ** self.length
        if count > MOST_SEQUENCES:
            raise EnvzooError(f"there are {count} sequences of {length} letters; expected at most {MOST_SEQUENCES}")
        check_choice("target", target, TARGETS)
        self.beta = check_number("beta", beta, 0.0, above=True)
        boosted, boost = check_whole("boosted", boosted, 1, count), check_number("boost", boost, 0.0, above=True)
        temper = check_number("temper", temper, 0.0, 1.0)
        self.instruction = f"Continue with {self.length} letters."
        self.sequences = np.array(list(itertools.product(range(len(self.alphabet)), repeat=self.length)))
        self.reference = np.exp(self._log_reference())
        if target == "boosted":
            factor = np.ones_like(self.reference)
            rows = np.random.default_rng(model_seed).choice(count, boosted, replace=False)
            factor[:, rows] = boost
        else:
            factor = self.reference**-temper
        self.target = self.reference * factor
        self.target /= self.target.sum(1, keepdims=True)
        self.rejected = optimal_rejected(self.reference, self.target, self.beta)

    def _log_reference(self) -> np.ndarray:
        log_p = np.log(self.transitions)
        inner = log_p[self.sequences[:, :-1], self.sequences[:, 1:]].sum(1)
        return log_p[:, self.sequences[:, 0]] + inner

    def did_entropy(self) -> np.ndarray:
        """Compute the entropy of the DID from the bigram model to the target for each prompt, (symbols,)."""
        return did_entropy(self.target, self.reference)

    def index(self, answers: np.ndarray) -> np.ndarray:
        """Return the indices (n,) of complete answers (n, length + 1) among the sequences, -1 for others."""
        letters = answers[:, : self.length] - FIRST
        size = len(self.alphabet)
        valid = ((letters >= 0) & (letters < size)).all(1) & (answers[:, self.length] == EOS)
        place = np.clip(letters, 0, size - 1) @ (size ** np.arange(self.length - 1, -1, -1))
        return np.where(valid, place, -1)

    def _verify(self, prompts: np.ndarray, answers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        rewards = np.zeros(len(prompts), np.float32)
        if answers.shape[1] <= self.length:
            return rewards
        valid = (ends == self.length) & self._recognise(prompts)
        where = self.index(answers[:, : self.answer_length])
        valid &= where >= 0
        row, place = prompts[valid, 0] - FIRST, where[valid]
        rewards[valid] = self.target[row, place] / self.reference[row, place]
        return rewards

    def preference_pairs(self, count: int, seed: int = 0) -> dict[str, object]:
        """Draw pairs: a prompt, a chosen answer from the bigram model, and another, rejected one from its sampler.

        Returns:
            Keyword arguments of `envzoo.agents.source.Preferences`: texts, and the margins log(target / reference) of
            chosen less rejected answers where these are positive, else 0.
        """
        count, rng = check_whole("count", count, 1), np.random.default_rng([check_whole("seed", seed, 0, None), 26])
        prompts = rng.integers(len(self.alphabet), size=count)
        chosen, rejected = np.empty(count, np.int64), np.empty(count, np.int64)
        for prompt in range(len(self.alphabet)):
            rows = np.flatnonzero(prompts == prompt)
            while rows.size:  # equal answers teach nothing, and are drawn again
                chosen[rows] = rng.choice(len(self.sequences), rows.size, p=self.reference[prompt])
                rejected[rows] = rng.choice(len(self.sequences), rows.size, p=self.rejected[prompt])
                rows = rows[chosen[rows] == rejected[rows]]
        gain = np.log(self.target) - np.log(self.reference)
        texts = ["".join(self.alphabet[k] for k in row) for row in self.sequences]
        return {
            "prompts": tuple(self.alphabet[k] for k in prompts),
            "chosen": tuple(texts[k] for k in chosen),
            "rejected": tuple(texts[k] for k in rejected),
            "margin": np.maximum(gain[prompts, chosen] - gain[prompts, rejected], 0.0),
        }


@with_shared_manual
class DIDSeq(TextEpisode):
    """Short sequences whose preferences have a known target, which concentrates the base policy or spreads it.

    ## Description
    The prompt is one letter, and the base policy (the reference) is a fixed bigram model that continues it with
    `length` letters. The target multiplies the reference: "boosted" makes `boosted` random sequences `boost` times as
    likely, so that the differential information distribution (DID) from reference to target has a low entropy;
    "tempered" multiplies by a smooth function of all sequences, reference^(-temper), so that it has a high one. The
    chosen answers of pairs come from the reference, the rejected ones from the sampler for which DPO with the same
    `beta` finds the target. All sequences can be enumerated, so policies are compared with the target exactly. The
    setting of Won et al. 2025 (arXiv 2505.23761).

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(symbols + 2)`, the next token: 0 padding
    (never right), 1 the end token, then the letters.

    $observation
    target(answer) / reference(answer), whose mean under the reference is 1; 0 for answers of another length.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

    $start_and_end
    - `target` ("boosted"): or "tempered".
    - `symbols` (5), `length` (4): number of letters, and of letters of an answer; at most 20,000 sequences.
    - `beta` (0.1): of the sampler of rejected answers.
    - `boost` (200.0), `boosted` (5): factor and number of the boosted sequences.
    - `temper` (0.5): exponent of the tempered target, 0 to 1.
    - `spread` (1.0): standard deviation of the logits of the bigram model.
    - `model_seed` (0): seed of these logits and of the boosted sequences.
    - `split` ("all"): "train", "evaluation" or "all".

    ## Demonstrations
    Samples of the bigram model, whatever the noise.

    ## Registered ids
    - `envzoo/DIDSeq-v0`: the text environment, one answer per step.
    - `envzoo/DIDSeq-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self,
        target: str = "boosted",
        symbols: int = 5,
        length: int = 4,
        beta: float = 0.1,
        boost: float = 200.0,
        boosted: int = 5,
        temper: float = 0.5,
        spread: float = 1.0,
        model_seed: int = 0,
        split: str = "all",
    ) -> None:
        task = Sequences(target, symbols, length, beta, boost, boosted, temper, spread, model_seed)
        super().__init__(task, split)
        self.preference_pairs = task.preference_pairs


DIDSeqEnv, DIDSeqTokensEnv, DIDSeqTokensVectorEnv = make_faces(DIDSeq)
