"""DoC: closed forms on the bandit, the bound of the critic, the constraint, chunks, and bad inputs."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.offline.doc_tables import (
    DocTables,
    Plays,
    critic_gain,
    gather_plays,
    return_conditioned_policy,
    total_loss,
)
from envzoo.agents.offline.doc_transformer import ReverseGradient, gaussian_kl, info_nce
from envzoo.agents.optim import make_optimizer
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.offline.lucky_tree import LuckyTree
from envzoo.offline.planning import policy_return
from envzoo.scripts.make_dataset import make_dataset

LUCKY, TREE, LINE = "envzoo/lucky-bandit/p10-v0", "envzoo/lucky-tree/random-v0", "envzoo/line-world/striped-v0"
TRANSFORMER = {"kind": "transformer", "context": 2, "width": 8, "layers": 1, "heads": 2, "batch_size": 8}


@pytest.fixture(scope="module", autouse=True)
def datasets(root):
    make_dataset(LUCKY, quiet=True)
    make_dataset(TREE, quiet=True)


def exact_bandit(p, pulls=10_000):
    """All four combinations of arm and reward in their exact shares: arm 1 pays 1 - p, and is pulled with p."""
    shares = {(0, 0): (1 - p) ** 2, (0, 1): (1 - p) * p, (1, 0): p * p, (1, 1): p * (1 - p)}
    counts = {pair: round(share * pulls) for pair, share in shares.items()}
    action, reward = (np.repeat([pair[i] for pair in counts], list(counts.values())) for i in range(2))
    nothing, ones = np.zeros(len(action), int), np.ones(len(action), int)
    return gather_plays(nothing, action, reward.astype(float), nothing, ones.astype(bool), ones, 1, 1, 2)


def train(plays, sign, steps, latents=4, stop_gradient=True, seed=0):
    tables = DocTables(plays, latents, torch.Generator().manual_seed(seed))
    optimizer = make_optimizer(tables, lr=0.01)
    for _ in range(steps):
        optimizer.step(total_loss(tables.losses(plays, sign, stop_gradient), 1.0))
    return tables


def test_imitation_of_the_rewarded_pulls_earns_one_half_whatever_p_is():
    """P(good | reward) = p (1 - p) / (p (1 - p) + (1 - p) p)."""
    for p in (0.1, 0.2, 0.3, 0.4):
        plays = exact_bandit(p)
        rewarded = plays.outcome[:, 0] == plays.outcome[plays.to_go[:, 0] == 1, 0][0]
        share = plays.weight[rewarded & (plays.action[:, 0] == 1)].sum() / plays.weight[rewarded].sum()
        assert float(share) == pytest.approx(0.5, abs=1e-6)
        assert 0.5 * (1 - p) + 0.5 * p == pytest.approx(0.5)


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_doc_pulls_the_good_arm_and_claims_what_it_earns(p):
    plays = exact_bandit(p)
    tables = train(plays, "minimax", 2500)
    policy = tables.policy(plays)[0]
    earned = float(policy[0]) * p + float(policy[1]) * (1 - p)
    assert earned > 1 - p - 0.03
    value = tables.best_latent(plays)[1]
    assert abs(float(value[0]) - earned) < 0.05
    # Given the arm, the latent does not tell about the reward.
    q = tables.q.softmax(dim=-1).detach()
    for arm in (0, 1):
        given = q[plays.action[:, 0] == arm]
        assert 0.5 * float((given[0] - given[1]).abs().sum()) < 0.1


def test_without_the_constraint_the_latent_is_the_luck():
    plays = exact_bandit(0.1)
    tables = train(plays, "off", 2500, stop_gradient=False)
    policy = tables.policy(plays)[0]
    claimed = float(tables.best_latent(plays)[1][0])
    assert claimed > 0.95
    assert claimed - float(policy[0] * 0.1 + policy[1] * 0.9) > 0.05


def test_on_the_tree_it_finds_the_way_that_does_not_depend_on_chance():
    agent = agents.make("DoC", TREE, device="cpu", window=3, steps_per_iteration=500)
    agent.learn(2500)
    model = LuckyTree().model()
    assert policy_return(model, agent.tables.policy(agent.plays).numpy(), 3) > 3.9
    data = agent.data
    states, actions = agent.codec.index(data.observation).numpy(), data.action.numpy()
    returns = np.repeat(data.reward.numpy().reshape(-1, 3).sum(axis=1), 3)
    imitated = policy_return(model, return_conditioned_policy(states, actions, returns, 7, 2), 3)
    assert imitated == pytest.approx(2.5)  # the closed form: all episodes that return 10 went left


def test_the_bound_of_the_critic_is_reached_by_the_exact_table():
    generator = np.random.default_rng(0)
    joint = generator.dirichlet(np.ones(12)).reshape(4, 3)  # P(o, z) for one state and action
    rho = generator.dirichlet(np.ones(4))
    p_o, p_z = joint.sum(axis=1), joint.sum(axis=0)
    bound = (joint * np.log(joint / np.outer(p_o, p_z))).sum() + (p_o * np.log(p_o / rho)).sum()
    best = torch.as_tensor(np.log(joint / p_z / rho[:, None]))

    def mean_gain(f):
        gain = critic_gain(f[None].expand(4, -1, -1), torch.as_tensor(rho), torch.arange(4))
        return float((torch.as_tensor(joint) * gain).sum())

    assert mean_gain(best) == pytest.approx(bound, abs=1e-12)
    for _ in range(50):
        assert mean_gain(best + torch.as_tensor(generator.normal(size=(4, 3)))) <= bound + 1e-12


def test_signs_of_the_critic():
    """Minimax: the critic ascends, the latent descends; released: both ascend; off: neither moves."""
    plays = exact_bandit(0.2)
    gradients = {}
    for sign in ("minimax", "released", "off"):
        tables = DocTables(plays, 3, torch.Generator().manual_seed(0))
        losses = tables.losses(plays, sign)
        found = torch.autograd.grad(losses["critic"] + 0 * losses["luck"], (tables.q, tables.critic), allow_unused=True)
        ascent = torch.autograd.grad(tables.losses(plays, sign)["luck"], (tables.q, tables.critic))
        gradients[sign] = [float((a * b).sum()) for a, b in zip(found, ascent, strict=True)]
    assert gradients["minimax"][0] > 0 > gradients["minimax"][1]
    assert gradients["released"][0] < 0
    assert gradients["released"][1] < 0
    assert gradients["off"] == [0, 0]


def test_the_value_loss_moves_the_latent_only_without_the_stop():
    plays = exact_bandit(0.2)
    tables = DocTables(plays, 3, torch.Generator().manual_seed(0))
    for stop, moves in ((True, False), (False, True)):
        tables.zero_grad()
        tables.losses(plays, "off", stop)["value"].backward()
        assert (tables.q.grad is not None and bool(tables.q.grad.abs().sum() > 0)) == moves


def test_plays_by_hand():
    """Two episodes of two steps and one of one; chunks of two steps."""
    made = gather_plays(
        state=np.array([0, 1, 0, 1, 2]),
        action=np.array([1, 0, 1, 0, 1]),
        reward=np.array([0.0, 3.0, 0.0, 3.0, 5.0]),
        next_state=np.array([1, 2, 1, 2, 0]),
        ended=np.array([False, True, False, True, True]),
        lengths=np.array([2, 2, 1]),
        window=2,
        num_states=3,
        num_actions=2,
    )
    assert isinstance(made, Plays)
    assert len(made.state) == 2
    two = int((made.weight > 0).sum(dim=1).argmax())
    assert made.state[two].tolist() == [0, 1]
    assert made.to_go[two].tolist() == [3, 3]
    assert made.weight[two].tolist() == pytest.approx([0.4, 0.4])
    assert made.weight[1 - two].tolist() == pytest.approx([0.2, 0])
    assert made.to_go[1 - two, 0] == 5
    assert made.rho.sum() == pytest.approx(1)
    assert len(made.rho) == 3
    # One step at a time: what happened in the chunk before does not count.
    single = dataclasses.asdict(made)
    assert single["num_states"] == 3


def test_latents_that_the_data_do_not_have_are_not_chosen():
    plays = exact_bandit(0.2)
    tables = DocTables(plays, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        tables.q[:] = torch.tensor([20.0, 0.0, -20.0])
        tables.value[:] = torch.tensor([[0.0, 1.0, 5.0]])
    assert int(tables.best_latent(plays)[0][0]) == 0
    assert tables.prior(plays)[0].sum() == pytest.approx(1)
    with torch.no_grad():
        tables.q[:, 1] = 19.0
    assert int(tables.best_latent(plays)[0][0]) == 1


def test_states_without_data_get_the_uniform_policy_and_the_mean_value():
    ones = np.ones(2, int)
    plays = gather_plays(0 * ones, np.array([0, 1]), np.array([0.0, 4.0]), 0 * ones, ones > 0, ones, 1, 3, 2)
    tables = train(plays, "minimax", 5)
    assert tables.policy(plays)[1:].tolist() == [[0.5, 0.5]] * 2
    assert tables.best_latent(plays)[1][1:].tolist() == [2, 2]


# ---------------------------------------------------------------------------- transformers


def test_the_reversed_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = ReverseGradient.apply(x)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [-3, -4]


def test_info_nce_by_hand():
    a = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    scores = a @ a.T / np.sqrt(2)
    expected = float(np.mean([scores[i, i] - torch.logsumexp(scores[i], 0) for i in range(2)]) + np.log(2))
    assert float(info_nce(a, a)) == pytest.approx(expected, rel=1e-6)
    assert float(info_nce(100 * a, a)) == pytest.approx(np.log(2), abs=1e-4)
    assert float(info_nce(0 * a, a)) == pytest.approx(0, abs=1e-6)


def test_the_divergence_of_gaussians():
    mean, log_std, other, other_log_std = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    p = torch.distributions.Normal(mean, log_std.exp())
    q = torch.distributions.Normal(other, other_log_std.exp())
    expected = torch.distributions.kl_divergence(p, q).sum(dim=-1)
    torch.testing.assert_close(gaussian_kl(mean, log_std, other, other_log_std), expected)


@pytest.mark.parametrize("source", [TREE, LINE])
def test_padding_of_chunks_changes_no_loss(source):
    agent = agents.make("DoC", source, device="cpu", **TRANSFORMER)
    chunk = agent.chunks(torch.tensor([1, 2, 3]))
    assert not agent.tabular
    assert not chunk.mask.all()
    other = chunk._replace(
        observation=torch.where(chunk.mask[..., None], chunk.observation, 3.0),
        reward=torch.where(chunk.mask, chunk.reward, 9.0),
        to_go=torch.where(chunk.mask, chunk.to_go, 9.0),
        next_observation=torch.where(chunk.mask[..., None], chunk.next_observation, 3.0),
    )
    first, second = (agent.losses(c, torch.Generator().manual_seed(1)) for c in (chunk, other))
    for name in first:
        torch.testing.assert_close(first[name], second[name])


def test_the_latent_is_kept_for_a_chunk():
    agent = agents.make("DoC", TREE, device="cpu", **TRANSFORMER)
    env = agent.source.evaluation_env(3)
    agent.set_env(env)
    observation, _ = env.reset(seed=0)
    state, start, plans = None, np.ones(3, bool), []
    for _ in range(5):
        action, state = agent.predict(observation, state, start)
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
        plans.append(state.plan)
    env.close()
    kept = [torch.equal(a, b) for a, b in itertools.pairwise(plans)]
    assert kept == [True, False, False, True]  # chunks of two steps, episodes of three


def test_bad_inputs():
    for settings, sentence in (
        ({"window": 0}, "window of DoC is at least 1, got 0"),
        ({"latents": 0}, "latents of DoC is at least 1, got 0"),
        ({"hidden": ()}, "hidden of DoC needs at least one layer"),
        ({"mi_weight": -1.0}, "mi_weight of DoC is at least 0, got -1"),
        ({"table_learning_rate": 0.0}, "table_learning_rate of DoC is positive, got 0"),
        ({"mi_sign": "plus"}, "mi_sign of DoC expects one of 'minimax', 'released', 'off', got 'plus'"),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            agents.make("DoC", LUCKY, device="cpu", **settings)
    with pytest.raises(UnsupportedSpaceError, match="DoC with kind='tabular' takes discrete observations, and"):
        agents.make("DoC", LINE, device="cpu", kind="tabular")
