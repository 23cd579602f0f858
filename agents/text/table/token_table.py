"""GRPO and its relatives on a softmax table instead of a language model, for many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.seeding import Streams
from envzoo.agents.spec import build_config, require
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.losses.advantages import group_varies, overlong_penalty
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method, method_class
from envzoo.agents.text.rollouts import TextRollout, concatenate, pass_at_k
from envzoo.agents.text.table import kernels
from envzoo.agents.text.table.batches import losses_at_once, losses_in_turn, stack, take, vectorizes
from envzoo.agents.text.table.puzzle import TokenPuzzle
from envzoo.agents.threads import using_threads
from envzoo.errors import EnvzooError, NonFiniteError, unknown
from envzoo.kernel.stream import keys

ROW, CELL = "table_row", "table_cell"  # extras of a rollout: indices of its tokens in the table
# Defaults that differ from those of `TextConfig`.
DEFAULTS = {"num_prompts": 16, "group_size": 16, "learning_rate": 0.02}
OPTIMIZERS = ("adamw", "sgd")


class Exact(NamedTuple):
    """Exact measures of the policies, without sampling; all are float64 (S,).

    Attributes:
        accuracy: Mean probability of a right answer over the prompts of a split.
        entropy: Mean entropy in nats over the tokens that the policy writes.
        covariance: Mean over these tokens of Cov(log pi, A), with the exact advantage A of a token. To first order, the
            entropy of a state falls by eta Cov(log pi, A) in a natural-gradient step of size eta.
        pass_at_16: Mean over the prompts of the probability that one of 16 answers is right.
    """

    accuracy: np.ndarray
    entropy: np.ndarray
    covariance: np.ndarray
    pass_at_16: np.ndarray


class TokenTable:
    """An exact testbed for losses of language models: the loop of `TextAgent` with a softmax table as policy.

    The policy has one logit per row of a table and token; a row is what the policy sees of a state of the puzzle, such
    as the position in the answer and the remaining sum. Sampling, advantages, selection, minibatches, epochs, staleness
    and losses are those of the agents: the table calls the functions of the same `Method` objects. Nothing else is
    shared with a network, so that a run takes a fraction of a second, hundreds of seeds give narrow intervals, and
    entropy, accuracy and covariance are computed instead of estimated.

    Seeds are independent: the numbers of a seed are the same bits whatever other seeds are in the batch. Runs of
    different methods with the same seed start with the same logits and meet the same prompts.

    Example:
        ```python
        from envzoo.agents.text.table import TokenTable, sum_to

        table = TokenTable(sum_to(), "STEER", seeds=range(1000, 1100), smallest_weight=0.2)
        curves = table.learn(150)
        print(curves["accuracy"][:, -1].mean(), table.measure().entropy.mean())
        ```

        `docs/losses.md` shows how to use a loss or a puzzle of your own.

    Args:
        puzzle: The puzzle.
        method: Name of a registered agent that trains language models, or a subclass of `Method`.
        seeds: Seeds (S,), each a separate run.
        config: Config class of a `Method` that is given as a class; names have their own.
        optimizer: "adamw" as in `TextAgent`, or "sgd".
        spread: Standard deviation of the first logits.
        bias: How much lower the logits of implausible tokens are at first. By default TextSumTo starts at an accuracy
            of about .13 and an entropy of about 1.06 nats.
        **hyperparameters: Hyperparameters of the agent. By default there are 16 prompts with 16 answers each, and the
            learning rate is 0.02. Those that describe a network, its warm-up or partial rollouts do not apply.

    Attributes:
        logits: float64 (S, R, V).
        methods: One `Method` per seed.
        updates: Number of rollouts that were trained on.
        generated, trained: float64 (S,), tokens sampled and tokens in a loss so far (in each of several epochs).

    Raises:
        UnknownNameError: The method, a hyperparameter or the optimizer is unknown.
        EnvzooError: A value is out of range, or does not apply to a table.
    """

    def __init__(
        self,
        puzzle: TokenPuzzle,
        method: str | type[Method] = "GRPO",
        *,
        seeds: Sequence[int],
        config: type[TextConfig] = TextConfig,
        optimizer: str = "adamw",
        spread: float = 2.6,
        bias: float = 2.0,
        **hyperparameters: Any,
    ):
        name = method if isinstance(method, str) else method.__name__
        cls, config = method_class(method) if isinstance(method, str) else (method, config)
        c = self.config = build_config(config, name, DEFAULTS | hyperparameters)
        if optimizer not in OPTIMIZERS:
            raise unknown("optimizer", optimizer, OPTIMIZERS)
        self.puzzle, self.optimizer, self.name = puzzle, optimizer, name
        self.seeds = tuple(int(seed) for seed in seeds)
        require(bool(self.seeds) and min(self.seeds) >= 0, f"seeds are numbers from 0 on, got {list(seeds)}")
        require(c.partial_rollout is None, "a table writes complete answers; leave partial_rollout at None")
        require(not c.pretrained, f"a table takes the place of the model; leave model at 'tiny', got {c.model!r}")
        require(spread >= 0, f"spread is not negative, got {spread}")
        require(
            c.num_prompts <= puzzle.train.size,
            f"num_prompts is at most the {puzzle.train.size} training prompts of {puzzle.name}, got {c.num_prompts}",
        )
        require(
            c.overlong_buffer <= puzzle.longest,
            f"overlong_buffer is at most the {puzzle.longest} tokens of an answer, got {c.overlong_buffer}",
        )
        self.updates, self._planned = 0, 0
        shape = (len(self.seeds), puzzle.num_rows, len(puzzle.tokens))
        self.logits = np.empty(shape)
        kernels.initialize(self._stream("logits"), puzzle.plausible, spread, bias, self.logits)
        self._prompt_streams, self._token_streams = self._stream("prompts"), self._stream("tokens")
        self._first, self._second = np.zeros(shape), np.zeros(shape)
        self._steps = np.zeros(len(self.seeds), np.int64)
        self._log_probs, self._entropy = np.empty(shape), np.empty(shape[:2])
        self._temperatures = np.full(shape[:2], float(c.temperature))
        self._everywhere = np.ones(shape[:2], np.bool_)
        self._tabulate(self._everywhere)
        self._reference = self._log_probs.copy() if c.kl_coefficient else None
        self._streams = [Streams(seed) for seed in self.seeds]
        self.methods = [cls(c, streams=s, longest=puzzle.longest, progress=self._progress) for s in self._streams]
        self._queue: list[list[TextRollout]] = []
        self._vectorized = vectorizes(cls)
        self._injected = np.zeros(len(self.seeds))
        self.generated, self.trained = np.zeros(len(self.seeds)), np.zeros(len(self.seeds))

    def _stream(self, purpose: str) -> np.ndarray:
        found = np.zeros((len(self.seeds), 2), np.uint64)
        found[:, 0] = keys(np.array([Streams(seed).integer(f"table {purpose}") for seed in self.seeds], np.uint64))
        return found

    def _progress(self) -> float:
        return self.updates / self._planned if self._planned else 0.0

    def _tabulate(self, needed: np.ndarray) -> None:
        """Compute the policy in the needed rows (S, R)."""
        kernels.tabulate(self.logits, self._temperatures, needed, self._log_probs, self._entropy)

    def set_logits(self, logits: np.ndarray) -> None:
        """Replace the logits of all seeds, for another start than a random one.

        Args:
            logits: (R, V) or (S, R, V), finite; very low ones, such as -1e4, exclude tokens.

        Raises:
            EnvzooError: The shape is another one, or a logit is not finite.
        """
        given = np.asarray(logits, float)
        require(
            given.shape in (self.logits.shape, self.logits.shape[1:]),
            f"logits have shape {self.logits.shape} or {self.logits.shape[1:]}, got {given.shape}",
        )
        require(bool(np.isfinite(given).all()), "logits are finite; use -1e4 to exclude a token")
        self.logits[:] = given
        self._tabulate(self._everywhere)
        if self._reference is not None:
            self._reference[:] = self._log_probs

    def probabilities(self) -> np.ndarray:
        """Compute the probabilities of the present policies, (S, R, V)."""
        return np.exp(self._log_probs)

    def learn(self, updates: int, *, exact: str | None = "train", every: int = 1) -> dict[str, np.ndarray]:
        """Run the loop: sample, verify, compare, select, update.

        Args:
            updates: Number of rollouts to train on.
            exact: Split of the prompts on which the exact measures are computed; None for none.
            every: Updates between exact measures, each of which is computed before an update; nan between them.

        Returns:
            Curves by name, float64 (S, updates). "accuracy", "entropy", "pass_at_G" and "distinct_correct" are those of
            the sampled answers, for G answers per prompt. "tokens/..." are `generated` and `trained` before an update.
            "exact/..." are the fields of `Exact`. "policy/..." are means over minibatches of the method's metrics, and
            "grad_norm" and "largest_grad_norm" are mean and maximum over minibatches of the norm of the gradient before
            clipping. "select/..." are metrics of the selection.
        """
        for name, value in (("updates", updates), ("every", every)):
            require(value >= 1, f"{name} is at least 1, got {value}")
        self._planned = self.updates + updates
        curves: dict[str, np.ndarray] = {}

        def keep(name: str, values: Any, s: Any = slice(None)) -> None:
            if name not in curves:
                curves[name] = np.full((len(self.seeds), updates), np.nan)
            curves[name][s, self.updates + updates - self._planned] = values

        with using_threads(1):
            while self.updates < self._planned:
                keep("tokens/generated", self.generated)
                keep("tokens/trained", self.trained)
                if exact is not None and (self.updates + updates - self._planned) % every == 0:
                    for name, values in self.measure(exact)._asdict().items():
                        keep(f"exact/{name}", values)
                while len(self._queue) <= self.config.staleness:
                    self._queue.append(self._generate())
                rollouts = self._queue.pop(0)
                for name, values in self._sampled.items():
                    keep(name, values)
                chosen = []
                for s, rollout in enumerate(rollouts):
                    part, metrics = self.methods[s].select(rollout)
                    chosen.append(part)
                    for name, value in metrics.items():
                        keep(f"select/{name}", value, s)
                if self.methods[0].injects:
                    keep("select/injected", self._injected)
                for name, values in self._update(chosen).items():
                    keep(name, values)
                self.updates += 1
        return curves

    def measure(self, split: str = "train") -> Exact:
        """Compute the exact measures of the present policies on the prompts of a split.

        Raises:
            UnknownNameError: The split is unknown.
            EnvzooError: The split has no prompts.
        """
        p, prompts = self.puzzle, self.puzzle.prompts(split)
        require(prompts.size > 0, f"the puzzle {p.name} has no prompts in the split {split!r}")
        success = np.empty((len(self.seeds), prompts.size))
        accuracy, entropy, covariance = (np.empty(len(self.seeds)) for _ in range(3))
        kernels.solve(
            prompts, p.after, p.row, p.reward, self._log_probs, self._entropy, success, accuracy, entropy, covariance
        )
        return Exact(accuracy, entropy, covariance, (1.0 - (1.0 - success) ** 16).mean(axis=1))

    def _write(self, prompts: np.ndarray, log_probs: np.ndarray, part: slice) -> list[TextRollout]:
        """Sample answers to prompts (S, Q) for some of the seeds, from log-probabilities (S, R, V)."""
        p, copies = self.puzzle, self.config.group_size
        seeds, groups = prompts.shape
        shape = (seeds, groups * copies, p.longest)
        rows, tokens, mask = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
        reward = np.empty(shape[:2])
        kernels.write_answers(
            self._token_streams[part], prompts, copies, p.after, p.row, p.reward, log_probs, rows, tokens, mask, reward
        )
        self.generated[part] += mask.sum(axis=(1, 2))
        row, token, mask, reward = (torch.from_numpy(array) for array in (rows, tokens, mask, reward))
        cell = row * len(p.tokens) + token
        everyone = self._log_probs[part]
        fields = {
            "prompts": torch.from_numpy(prompts.repeat(copies, axis=1))[..., None],
            "tokens": token,
            "mask": mask,
            "old_logp": take(everyone, cell, mask),
            "entropy": take(self._entropy[part], row, mask),
            "reward": reward,
            "group": torch.arange(groups).repeat_interleave(copies).expand(shape[:2]),
            "advantage": torch.zeros(shape, dtype=torch.float64),
            "ref_logp": torch.zeros(shape, dtype=torch.float64),
            "verifier_reward": reward,
            "written_by": torch.full(shape, -1),
        }
        if self.config.overlong_buffer:
            fields["reward"] = reward + overlong_penalty(mask.sum(2), p.longest, self.config.overlong_buffer)
        if self._reference is not None:
            fields["ref_logp"] = take(self._reference[part], cell, mask)
        extras = {ROW: row, CELL: cell}
        method = self.methods[0]
        if method.records:
            # (S, B, T, V) log-probabilities: `record` treats each token by itself.
            where = torch.arange(seeds)[:, None, None]
            found = method.record(torch.from_numpy(everyone)[where, row].flatten(0, 2), token.flatten())
            extras |= {name: found[name].view(shape) for name in method.records}
        return [
            TextRollout(
                **{name: value[k] for name, value in fields.items()},
                extras={name: value[k] for name, value in extras.items()},
            )
            for k in range(seeds)
        ]

    def _hot(self, s: int, temperature: Tensor | float) -> np.ndarray:
        """Compute the log-probabilities (1, R, V) of a seed's policy at a temperature, or one for each row (R,)."""
        temperatures = np.broadcast_to(np.asarray(temperature, float), self._entropy[s].shape)[None]
        result, unused = np.empty_like(self.logits[s : s + 1]), np.empty((1, temperatures.size))
        kernels.tabulate(
            self.logits[s : s + 1], np.ascontiguousarray(temperatures), self._everywhere[s : s + 1], result, unused
        )
        return result

    def _generate(self) -> list[TextRollout]:
        """Sample a rollout for each seed, with its advantages and injected answers."""
        c, prompts = self.config, np.empty((len(self.seeds), self.config.num_prompts), np.int64)
        kernels.draw_prompts(self._prompt_streams, self.puzzle.train, prompts)
        log_probs = self._log_probs
        functions = [method.temperature() for method in self.methods]
        if any(function is not None for function in functions):
            log_probs = log_probs.copy()
            for s, function in enumerate(functions):
                if function is not None:
                    log_probs[s] = self._hot(s, function(torch.from_numpy(self._entropy[s])))[0]
        sampled = self._write(prompts, log_probs, slice(None))
        self._sampled = self._summary(sampled)
        result = []
        for s, rollout in enumerate(sampled):
            useful = self._refill(s, rollout, log_probs) if c.dynamic_sampling else rollout
            advantage, _ = self.methods[s].advantages(useful)
            useful = useful.replace(advantage=advantage)
            if self.methods[s].injects:
                useful, self._injected[s] = self.methods[s].inject(useful, rollout, self._answer(s))
            result.append(useful)
        return result

    def _answer(self, s: int):
        """Return the function by which a method samples answers to prompts (Q, 1) at a temperature."""

        def answer(prompts: Tensor, temperature: float) -> TextRollout:
            asked = prompts[:, 0].numpy()[None].copy()
            return self._write(asked, self._hot(s, temperature), slice(s, s + 1))[0]

        return answer

    def _refill(self, s: int, rollout: TextRollout, log_probs: np.ndarray) -> TextRollout:
        """Replace groups of equal rewards by answers to new prompts, as far as max_generations goes (DAPO)."""
        c, wanted, part = self.config, len(rollout), slice(s, s + 1)
        useful, rest = [], []
        for generation in range(c.max_generations):
            if generation:
                prompts = np.empty((1, c.num_prompts), np.int64)
                kernels.draw_prompts(self._prompt_streams[part], self.puzzle.train, prompts)
                (rollout,) = self._write(prompts, log_probs[part], part)
            varies = group_varies(rollout.verifier_reward, rollout.group)
            useful.append(rollout.rows(varies.nonzero().squeeze(1)))
            rest.append(rollout.rows((~varies).nonzero().squeeze(1)))
            if sum(map(len, useful)) >= wanted:
                break
        return concatenate([piece for piece in useful + rest if len(piece)]).rows(torch.arange(wanted))

    def _summary(self, rollouts: list[TextRollout]) -> dict[str, np.ndarray]:
        copies = self.config.group_size
        right = np.stack([rollout.correct.numpy() for rollout in rollouts])
        counts = right.reshape(len(rollouts), -1, copies).sum(2)
        tokens = np.stack([rollout.tokens.numpy() for rollout in rollouts])
        return {
            "accuracy": right.mean(1),
            "entropy": np.array([float(masked_mean(r.entropy, r.mask)) for r in rollouts]),
            f"pass_at_{copies}": np.array([pass_at_k(row, copies, copies).mean() for row in counts]),
            "distinct_correct": kernels.distinct_right(tokens, right.astype(float), copies),
        }

    def _update(self, rollouts: list[TextRollout]) -> dict[str, np.ndarray]:
        """Take the steps of an update; returns metrics (S,), means over the minibatches."""
        c = self.config
        sizes = {len(rollout) for rollout in rollouts}
        if len(sizes) > 1:
            raise EnvzooError(f"{self.name} selects different numbers of answers in different seeds: {sorted(sizes)}")
        rows = sizes.pop()
        together, size = (
            {name: value.flatten(0, 1) for name, value in stack(rollouts).items()},
            rows // c.num_minibatches,
        )
        needed = np.zeros_like(self._everywhere)
        np.put_along_axis(needed, together[ROW].reshape(len(rollouts), -1).numpy(), True, axis=1)
        first = rows * np.arange(len(rollouts))[:, None]  # row of each seed's first answer
        totals: dict[str, list[np.ndarray]] = {}
        for _ in range(c.num_epochs):
            order = np.stack([s.numpy("minibatches").permutation(rows) for s in self._streams]) + first
            for start in range(0, size * c.num_minibatches, size):
                chosen = torch.from_numpy(order[:, start : start + size])
                batch = {
                    name: value.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)
                    for name, value in together.items()
                }
                for name, value in self._minibatch(batch).items():
                    totals.setdefault(name, []).append(value)
                self._tabulate(needed)
        self._tabulate(self._everywhere)
        # Sums in order: np.mean over the first axis sums in another one if there is a single seed.
        metrics = {name: sum(values[1:], start=values[0]) / len(values) for name, values in totals.items()}
        return metrics | {"largest_grad_norm": np.max(totals["grad_norm"], axis=0)}

    def _minibatch(self, batch: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Take a gradient step on the logits of every seed, from a minibatch whose fields have a dimension of seeds."""
        c = self.config
        mask, row = batch["mask"], batch[ROW]
        self.trained += mask.sum((1, 2)).numpy()
        logp = take(self._log_probs, batch[CELL], mask).requires_grad_()
        entropy = take(self._entropy, row, mask).requires_grad_(bool(c.entropy_coefficient))
        compute = losses_at_once if self._vectorized else losses_in_turn
        total, found = compute(self.methods, logp, entropy, batch)
        metrics = {f"policy/{name}": value.detach().double().numpy() for name, value in found.items()}
        active = (batch["advantage"] * mask).flatten(1).any(1)
        if c.kl_coefficient or c.entropy_coefficient:
            active[:] = True
        leaves = [leaf for leaf in (logp, entropy) if leaf.requires_grad]
        slopes = [part.contiguous().numpy() for part in torch.autograd.grad(total.sum(), leaves)]
        slopes += [np.zeros(slopes[0].shape)] * (2 - len(slopes))
        norms = np.zeros(len(self.seeds))
        # Without anything to learn, as in `TextAgent`, there is no step: Adam's momentum would still move the policy.
        kernels.take_step(
            row.numpy(), batch["tokens"].numpy(), *slopes, self._log_probs, self._entropy, float(c.temperature),
            active.numpy(), self.logits, self._first, self._second, self._steps, norms, float(c.max_grad_norm),
            float(c.learning_rate), float(c.weight_decay), self.optimizer == "adamw",
        )  # fmt: skip
        if not np.isfinite(norms).all():
            seed = self.seeds[int(np.argmin(np.isfinite(norms)))]
            raise NonFiniteError(f"the gradient of {self.name} is not finite in update {self.updates} of seed {seed}")
        return metrics | {"grad_norm": norms}
