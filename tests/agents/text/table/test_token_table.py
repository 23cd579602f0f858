"""The softmax table: every method in it, seeds apart from each other, gradients, optimizers and exact measures."""

import functools
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.reasoning.grpo import GRPOMethod
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.method import Method, make_method, method_class, method_names
from envzoo.agents.text.rollouts import answers
from envzoo.agents.text.table import TokenTable, build_puzzle, countdown, sum_to
from envzoo.agents.text.table.batches import losses_at_once, stack, vectorizes
from envzoo.errors import EnvzooError, NonFiniteError, UnknownNameError

SMALL = {"num_prompts": 4, "group_size": 6, "num_minibatches": 2}


@functools.cache
def small(name="sum"):
    return sum_to(terms=3, low=4, high=23) if name == "sum" else countdown(numbers=2, largest=4, high=12)


def random_batches(method, seeds, generator):
    """A minibatch per seed, with answers of unequal lengths, tied log-probabilities, and all kinds of ratios."""
    found = []
    for _ in range(seeds):
        rows, width = 12, 5
        length = torch.randint(1, width + 1, (rows, 1), generator=generator)
        mask = (torch.arange(width) < length).double()
        logp = -3 * torch.rand(rows, width, generator=generator, dtype=torch.float64)
        logp[:4] = (2 * logp[:4]).round() / 2
        old = logp + 0.3 * torch.randn(rows, width, generator=generator, dtype=torch.float64)
        scores = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
        scores[::5] = 0.0
        extras = {"logp": logp * mask}
        extras |= dict.fromkeys(method.records, (old - 0.1 * logp) * mask)
        entropy = torch.rand(rows, width, generator=generator, dtype=torch.float64) * mask
        batch = answers(mask, old_logp=old * mask, entropy=entropy, advantage=scores * mask, extras=extras)
        found.append(batch)
    return found


@pytest.mark.parametrize("name", method_names())
def test_losses_of_all_seeds_at_once_are_those_of_each_seed(name):
    if not vectorizes(method_class(name)[0]):
        pytest.skip("computed seed by seed")

    @settings(max_examples=5, deadline=None)
    @given(number=st.integers(0, 2**31))
    def compare(number):
        batches = random_batches(make_method(name, 5), 3, torch.Generator().manual_seed(number))
        methods = [make_method(name, 5, seed=seed) for seed in range(3)]
        again = [make_method(name, 5, seed=seed) for seed in range(3)]
        together = stack(batches)
        logp = together["logp"].clone().requires_grad_()
        total, metrics = losses_at_once(methods, logp, together["entropy"], together)
        (slope,) = torch.autograd.grad(total.sum(), [logp])
        for s, (batch, method) in enumerate(zip(batches, again, strict=True)):
            one = batch.extras["logp"].clone().requires_grad_()
            loss, own = method.objective(one, batch.entropy, batch)
            (own_slope,) = torch.autograd.grad(loss, [one])
            assert total[s].item() == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
            torch.testing.assert_close(slope[s], own_slope, rtol=1e-12, atol=1e-12)
            for key, value in own.items():
                torch.testing.assert_close(metrics[key][s], value, rtol=1e-12, atol=1e-12)

    compare()


@pytest.mark.parametrize(
    "extra",
    [{}, {"num_epochs": 2, "staleness": 1, "entropy_coefficient": 0.01}, {"num_minibatches": 12, "num_prompts": 8}],
)
@pytest.mark.parametrize("name", method_names())
def test_a_batch_of_seeds_is_each_seed_alone_bit_for_bit(name, extra):
    together = TokenTable(small(), name, seeds=[3, 4, 9, 12, 7], **(SMALL | extra))
    curves = together.learn(3)
    for place, seed in ((1, 4), (4, 7)):
        alone = TokenTable(small(), name, seeds=[seed], **(SMALL | extra))
        own = alone.learn(3)
        assert np.array_equal(alone.logits[0], together.logits[place])
        assert set(own) == set(curves)
        for key in own:
            assert np.array_equal(own[key][0], curves[key][place], equal_nan=True), key


def test_runs_go_on_where_they_stopped_and_methods_of_a_seed_meet_the_same_prompts():
    whole, parts = (TokenTable(small(), "GRPO", seeds=[1, 2], **SMALL) for _ in range(2))
    curves = whole.learn(4)
    first, second = parts.learn(1), parts.learn(3, every=2)
    assert np.array_equal(second["exact/entropy"][:, ::2], curves["exact/entropy"][:, 1::2])
    assert np.isnan(second["exact/entropy"][:, 1]).all()
    assert np.array_equal(whole.logits, parts.logits)
    assert np.array_equal(curves["accuracy"], np.concatenate([first["accuracy"], second["accuracy"]], axis=1))
    other = TokenTable(small(), "CISPO", seeds=[2, 1], **SMALL).learn(1)
    assert np.array_equal(other["accuracy"][::-1], first["accuracy"])


@pytest.mark.parametrize("name", ["GRPO", "EntropyBonus", "LpReg"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_step_is_that_of_torch_on_the_logits(name, temperature):
    settings = {"num_prompts": 4, "group_size": 30, "num_minibatches": 1, "temperature": temperature}
    settings |= {"learning_rate": 0.3, "max_grad_norm": 0.05}
    table = TokenTable(small("countdown"), name, seeds=[5], bias=6.0, weight_decay=0.1, **settings)
    seen = []
    objective = table.methods[0].total_loss
    table.methods[0].total_loss = lambda *a: seen.append(a) or objective(*a)
    table._vectorized = False
    logits = torch.from_numpy(table.logits[0].copy()).requires_grad_()
    optimizer, steps = torch.optim.AdamW([logits], lr=0.3, weight_decay=0.1), 0
    for _ in range(3):
        optimizer.zero_grad()
        table.learn(1)
        batch = seen[-1][2]
        every = torch.log_softmax(logits / temperature, -1)
        row, token = batch.extras["table_row"], batch.tokens
        logp = torch.where(batch.mask > 0, every[row, token], 0.0)
        entropy = torch.where(batch.mask > 0, -(every.exp() * every).sum(-1)[row], 0.0)
        total, _ = objective(logp, entropy, batch)
        if bool((batch.advantage != 0).any()) or table.config.entropy_coefficient:
            total.backward()
            torch.nn.utils.clip_grad_norm_([logits], 0.05)
            optimizer.step()
            steps += 1
        np.testing.assert_allclose(table.logits[0], logits.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert steps


def test_a_start_of_ones_own():
    table = TokenTable(small(), seeds=[0, 1], **SMALL, kl_coefficient=0.1)
    logits = np.zeros(table.logits.shape[1:])
    logits[:, 3:] = -1e4
    table.set_logits(logits)
    np.testing.assert_allclose(table.probabilities()[1, 0], [1 / 3] * 3 + [0] * 7, atol=1e-15)
    assert (table._generate()[0].tokens < 3).all()
    assert np.isfinite(table.measure().entropy).all()
    assert table.learn(1)["policy/clip_fraction"].shape == (2, 1)
    with pytest.raises(EnvzooError, match=r"logits have shape \(2, \d+, 10\) or \(\d+, 10\), got \(3,\)"):
        table.set_logits(np.zeros(3))
    with pytest.raises(EnvzooError, match="logits are finite; use -1e4"):
        table.set_logits(logits - np.inf)


def test_gradient_descent_lowers_logits_by_the_gradient():
    settings = {**SMALL, "num_minibatches": 1, "learning_rate": 0.5, "max_grad_norm": 1e9}
    table = TokenTable(small(), "GRPO", seeds=[1], optimizer="sgd", **settings)
    before = table.logits.copy()
    norm = table.learn(1)["grad_norm"]
    assert np.linalg.norm(table.logits - before) == pytest.approx(0.5 * norm[0, 0], rel=1e-12)
    np.testing.assert_allclose(table.logits.sum(-1), before.sum(-1), rtol=1e-12)  # no row's sum of logits moves


@pytest.mark.parametrize("name", ["sum", "countdown"])
def test_exact_measures_are_those_of_all_answers(name):
    puzzle = small(name)
    table = TokenTable(puzzle, seeds=[0, 1], spread=1.5)
    found = table.measure("evaluation")
    for s in range(2):
        p = np.exp(table.logits[s] - np.logaddexp.reduce(table.logits[s], axis=-1, keepdims=True))
        entropies = -(p * np.log(p)).sum(-1)
        success, length, total = [], 0.0, 0.0
        for state in puzzle.evaluation:
            right = 0.0
            waiting = [(state, 1.0)]
            while waiting:
                at, mass = waiting.pop()
                if puzzle.row[at] < 0:
                    right += mass * puzzle.reward[at]
                    continue
                length, total = length + mass, total + mass * entropies[puzzle.row[at]]
                waiting += zip(puzzle.after[at], mass * p[puzzle.row[at]], strict=True)
            success.append(right)
        assert found.accuracy[s] == pytest.approx(np.mean(success), rel=1e-10)
        assert found.entropy[s] == pytest.approx(total / length, rel=1e-10)
        assert found.pass_at_16[s] == pytest.approx(np.mean(1 - (1 - np.array(success)) ** 16), rel=1e-10)


def test_the_exact_covariance_is_the_slope_of_the_entropy_along_the_advantages():
    """One position, so that the state distribution does not move with the policy."""
    puzzle = build_puzzle(
        "one",
        "abcd",
        [(0, 0), (0, 1)],
        [],
        lambda s, a: (1, s[1], a),
        lambda s: float(s[1] == s[2] % 2) if s[0] else None,
    )
    table = TokenTable(puzzle, seeds=[0, 1, 2], spread=1.0, num_prompts=2)
    before = table.measure()
    p = np.exp(table.logits - np.logaddexp.reduce(table.logits, axis=-1, keepdims=True))
    right = puzzle.reward[puzzle.after[puzzle.train]]  # (rows, tokens), as each prompt has its own row
    right = right[np.argsort(puzzle.row[puzzle.train])]
    eta = 1e-6
    table.logits += eta * (right - (p * right).sum(-1, keepdims=True))
    table._tabulate(table._everywhere)
    slope = (table.measure().entropy - before.entropy) / eta
    assert slope == pytest.approx(-before.covariance, rel=1e-4)


def test_sampled_answers_have_the_probabilities_of_the_table():
    table = TokenTable(small(), seeds=[0], num_prompts=1, group_size=20_000, num_minibatches=1)
    (rollout,) = table._generate()
    p = np.exp(table._log_probs[0][rollout.extras["table_row"][0, 0]])
    counts = np.bincount(rollout.tokens[:, 0].numpy(), minlength=10)
    assert ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum() < 27.9  # chi-squared, nine degrees of freedom, p = 0.001
    assert rollout.old_logp[0, 0].item() == pytest.approx(np.log(p[rollout.tokens[0, 0]]))


def test_distinct_right_answers_and_pass_at_g_are_counted():
    table = TokenTable(small(), seeds=[0, 1], num_prompts=3, group_size=40, spread=0.0)
    rollouts = table._generate()
    for s, rollout in enumerate(rollouts):
        right = [
            {tuple(row.tolist()) for row, fine in zip(*pair, strict=True) if fine}
            for pair in zip(rollout.tokens.split(40), rollout.correct.split(40), strict=True)
        ]
        assert table._sampled["distinct_correct"][s] == pytest.approx(np.mean([len(found) for found in right]))
        assert table._sampled["pass_at_40"][s] == pytest.approx(np.mean([bool(found) for found in right]))


def test_text_sum_to_starts_with_much_to_learn():
    start = TokenTable(sum_to(), seeds=range(200)).measure()
    assert start.accuracy.mean() == pytest.approx(0.13, abs=0.01)
    assert start.entropy.mean() == pytest.approx(1.06, abs=0.02)


def test_a_temperature_of_each_token_is_used_for_sampling_alone():
    class Cold(Method):
        varies_temperature = True

        def temperature(self):
            return lambda entropy: torch.full_like(entropy, 1e-3)

        def token_loss(self, logp, entropy, batch):
            return -batch.advantage * logp, {}

    table = TokenTable(small(), Cold, seeds=[0], num_prompts=2, group_size=5, num_minibatches=1)
    (rollout,) = table._generate()
    assert (rollout.tokens[:5] == rollout.tokens[0]).all()  # greedy
    row = rollout.extras["table_row"]
    assert (rollout.tokens == torch.from_numpy(table.logits[0]).argmax(-1)[row]).all()
    torch.testing.assert_close(rollout.old_logp, torch.from_numpy(table._log_probs[0]).amax(-1)[row])


def test_a_method_of_ones_own_takes_decisions_seed_by_seed():
    class Own(GRPOMethod):
        def token_loss(self, logp, entropy, batch):
            if float(logp.detach().mean()) > 0:  # cannot be computed under vmap
                raise AssertionError
            return super().token_loss(logp, entropy, batch)

    assert vectorizes(GRPOMethod)
    assert not vectorizes(Own)
    config = method_class("GRPO")[1]
    own = TokenTable(small(), Own, config=config, seeds=[0, 1], **SMALL)
    plain = TokenTable(small(), "GRPO", seeds=[0, 1], **SMALL)
    own.learn(2)
    plain.learn(2)
    np.testing.assert_allclose(own.logits, plain.logits, rtol=1e-9)


def test_what_cannot_be_is_refused():
    def table(*arguments, **keywords):
        return TokenTable(small(), *arguments, seeds=keywords.pop("seeds", [0]), **keywords)

    for keywords, match in (
        ({"partial_rollout": 2}, "leave partial_rollout at None"),
        ({"num_prompts": 1000}, "num_prompts is at most the 16 training prompts of sum_to, got 1000"),
        ({"model": "gpt/2"}, "leave model at 'tiny'"),
        ({"spread": -1.0}, "spread is not negative"),
        ({"overlong_buffer": 9}, "overlong_buffer is at most the 3 tokens"),
        ({"seeds": []}, "seeds are numbers from 0 on"),
        ({"seeds": [-1]}, "seeds are numbers from 0 on"),
    ):
        with pytest.raises(EnvzooError, match=match):
            table("GRPO", **SMALL | keywords)
    with pytest.raises(UnknownNameError, match="did you mean 'STEER'"):
        table("STEERR")
    with pytest.raises(UnknownNameError, match="did you mean 'adamw'"):
        table("GRPO", optimizer="adam")
    with pytest.raises(UnknownNameError, match="hyperparameter of GRPO 'eps_hi'"):
        table("GRPO", eps_hi=1.0)
    with pytest.raises(EnvzooError, match="updates is at least 1"):
        table("GRPO", **SMALL).learn(0)
    with pytest.raises(EnvzooError, match="every is at least 1"):
        table("GRPO", **SMALL).learn(1, every=0)

    class Broken(Method):
        def token_loss(self, logp, entropy, batch):
            return logp * float("nan"), {}

    with pytest.raises(NonFiniteError, match="the gradient of Broken is not finite in update 0 of seed 7"):
        table(Broken, seeds=[7], **SMALL).learn(1)
    unmet = build_puzzle("unmet", "ab", [0], [], lambda s, a: 1, lambda s: 1.0 if s else None)
    with pytest.raises(EnvzooError, match="no prompts in the split 'evaluation'"):
        TokenTable(unmet, seeds=[0], num_prompts=1).measure("evaluation")


def test_answers_to_few_prompts_are_all_asked():
    table = TokenTable(small(), seeds=range(4), num_prompts=16, group_size=2, num_minibatches=1)
    for rollout in table._generate():
        assert len(set(rollout.prompts[:, 0].tolist())) == 16  # without replacement
    assert isinstance(table.config, TextConfig)
    assert len(list(itertools.chain(table.methods))) == 4
