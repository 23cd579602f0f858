"""Masked actions have probability 0, for every agent that takes discrete actions: acting, learning and predicting."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.action_masks import check_mask, current_mask, mask_led_to, replace_illegal, with_masks
from envzoo.agents.actor_critic.soft_networks import CategoricalActor
from envzoo.agents.evaluation import evaluate
from envzoo.agents.losses import soft
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.manual_gradients import ClosedFormPolicy
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.agents.registry import specs
from envzoo.datasets.collector import collect
from envzoo.errors import EnvzooError, UnsupportedSpaceError

pytestmark = pytest.mark.any_arithmetic

CELLS, ACTIONS, LENGTH = 5, 4, 6


class Ring(gym.Env):
    """A ring of cells; of four moves two are allowed, which depends on cell and time. Others are errors."""

    def __init__(self, inside=False, truncates=False):
        self.inside, self.truncates = inside, truncates
        cell = spaces.Discrete(CELLS)
        shown = {"action_mask": spaces.Box(0, 1, (ACTIONS,), np.int8), "cell": cell}
        self.observation_space = spaces.Dict(shown) if inside else cell
        self.action_space = spaces.Discrete(ACTIONS)
        self.start = 0

    def mask(self):
        mask = np.zeros(ACTIONS, np.int8)
        mask[[(self.cell + self.time) % ACTIONS, (self.cell + self.time + 2 * (self.cell % 2) + 1) % ACTIONS]] = 1
        return mask

    def see(self):
        observation = {"action_mask": self.mask(), "cell": self.cell} if self.inside else self.cell
        info = {"modular_reward": 1.0, **({} if self.inside else {"action_mask": self.mask()})}
        return observation, info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell, self.time = int(self.np_random.integers(CELLS)), 0
        return self.see()

    def step(self, action):
        if not self.mask()[action]:
            raise AssertionError(f"action {action} is not allowed in cell {self.cell} at time {self.time}")
        self.cell, self.time = (self.cell + int(action)) % CELLS, self.time + 1
        over = self.time == LENGTH
        observation, info = self.see()
        return observation, float(self.cell == 0), over and not self.truncates, over and self.truncates, info

    def get_state(self):
        return {"cell": np.array([self.cell]), "time": np.array([self.time])}

    def set_state(self, state):
        self.cell, self.time = int(state["cell"][0]), int(state["time"][0])


def ring(mode=AutoresetMode.SAME_STEP, copies=3, **kwargs):
    return SyncVectorEnv([lambda: Ring(**kwargs)] * copies, autoreset_mode=mode)


def takes_ring(name):
    spec = specs()[name]
    if name == "Random":
        return True
    if "discrete" not in spec.actions or not {"environment", "dataset"} & set(spec.sources):
        return False
    if spec.family in ("reasoning", "bandits", "coding_games"):
        return False  # they take no environments but those of their families
    return "environment" in spec.sources


DISCRETE = [name for name in specs() if takes_ring(name)]
HYPERPARAMETERS = {"AdversarialSurprise": {"rounds": 2, "round_length": 3}, "SMiRL": {"horizon": LENGTH}}


def small(name):
    given = {**specs()[name].example.hyperparameters, **HYPERPARAMETERS.get(name, {})}
    return {"device": "cpu", **given}


def test_the_ring_has_two_of_four_actions_everywhere():
    env = Ring()
    for env.cell, env.time in itertools.product(range(CELLS), range(LENGTH)):
        assert env.mask().sum() == 2
    assert {"PPO", "SACDiscrete", "SubPO", "ModPO", "AdversarialSurprise", "RND", "Random", "GreedyMarginal"} <= set(
        DISCRETE
    )


REFUSING = ("tabular", "preference", "offline")  # families with agents that take some worlds only


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", [name for name in DISCRETE if name != "GreedyMarginal"])
def test_no_agent_ever_takes_a_masked_action(name, inside, mode):
    table = {"policy": "mlp"} if inside and name in ("SubPO", "ModPO") else {}  # tables have no Dict observations
    try:
        agent = agents.make(name, ring(mode, inside=inside), **small(name), **table)
    except EnvzooError:  # agents of particular worlds refuse the ring before anything is played
        assert specs()[name].family in REFUSING
        return
    agent.learn(2 * specs()[name].example.timesteps + 20)  # the ring raises at an illegal action
    for deterministic in (True, False):
        assert evaluate(agent, ring(mode, inside=inside), episodes=6, deterministic=deterministic).lengths.tolist() == (
            [LENGTH] * 6
        )


@pytest.mark.parametrize("inside", [False, True])
def test_greedy_marginal_tries_no_masked_action(inside):
    env = Ring(inside)
    agent = agents.make("GreedyMarginal", env, device="cpu")
    observation, info = env.reset(seed=1)
    for _ in range(LENGTH):
        action, _ = agent.predict(observation, action_mask=info.get("action_mask"))
        assert env.mask()[action]
        reachable = [(env.cell + int(a)) % CELLS for a in np.flatnonzero(env.mask())]
        observation, reward, _, _, info = env.step(action)
        assert reward == (0 in reachable)


@pytest.mark.parametrize("policy", ["tabular", "mlp", "gru"])
def test_subpo_has_masks_with_every_policy(policy):
    agent = agents.make("SubPO", ring(), num_envs=3, policy=policy, device="cpu")
    agent.learn(60)
    evaluate(agent, ring(), episodes=6, deterministic=False)


@pytest.mark.parametrize("encoder", ["mlp", "gru"])
@pytest.mark.parametrize("shared", [False, True])
def test_ppo_resumes_exactly_with_masks(tmp_path, encoder, shared):
    settings = {**small("PPO"), "encoder": encoder, "share_encoder": shared, "entropy_coefficient": 0.1}
    whole = agents.make("PPO", Ring, **settings).learn(48)
    part = agents.make("PPO", Ring, **settings)
    part.target_timesteps = 48
    part.iterate()
    part.iteration += 1
    part.save(tmp_path / "a.zip")
    again = agents.load(tmp_path / "a.zip", Ring, device="cpu").learn()
    for mine, theirs in zip(again.policy.parameters(), whole.policy.parameters(), strict=True):
        assert torch.isfinite(mine).all()
        assert torch.equal(mine, theirs)


def test_sac_stores_the_mask_of_the_true_next_observation(tmp_path):
    agent = agents.make("SACDiscrete", ring(truncates=True), **small("SACDiscrete")).learn(60)
    rows = agent.buffer.rows(torch.arange(len(agent.buffer)))
    env = Ring()
    masks, times = [], np.repeat(np.arange(LENGTH), 3)  # three episodes side by side, again and again
    for row, (here, there) in enumerate(zip(rows.observation.int(), rows.next_observation.int(), strict=True)):
        env.time = int(times[row % len(times)])
        for packed, later in ((here, 0), (there, 1)):
            env.cell, env.time = int(packed[0]), env.time + later
            masks.append((packed[1:].tolist(), env.mask().tolist()))
    assert len(masks) == 2 * len(agent.buffer) > 100
    assert [stored for stored, _ in masks] == [expected for _, expected in masks]
    agent.save(tmp_path / "a.zip")
    again = agents.load(tmp_path / "a.zip", ring(truncates=True), device="cpu")
    assert torch.equal(again.buffer.rows(torch.arange(len(rows.reward))).next_observation, rows.next_observation)


def test_files_without_masks_load_with_everything_allowed(tmp_path):
    agent = agents.make("SACDiscrete", Ring, **small("SACDiscrete")).learn(12)
    state = agent.state_dict()
    for name in ("observation", "next_observation"):
        state["parts"]["buffer"]["rows"][name] = state["parts"]["buffer"]["rows"][name][:, :1]
    state["parts"]["experience"]["observation"] = state["parts"]["experience"]["observation"][:, :1]
    again = agents.make("SACDiscrete", Ring, **small("SACDiscrete"))
    again.load_state_dict(state)
    rows = again.buffer.rows(torch.arange(len(again.buffer)))
    assert (rows.observation[:, 1:] == 1).all()
    assert torch.equal(rows.next_observation[:, 0], agent.buffer.rows(torch.arange(12)).next_observation[:, 0])
    assert (again.experience.observation[:, 1:] == 1).all()


# ------------------------------------------------------------------ networks

CODEC, CHOICES = ObservationCodec(spaces.Discrete(CELLS)), ActionCodec(spaces.Discrete(ACTIONS), "test")
SHAPE = {"encoder": "mlp", "hidden": (8,), "activation": "tanh"}


def batch(seed=0, rows=40):
    """Packed observations with masks, the masks, and an allowed action for each."""
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, ACTIONS)) < 0.5
    mask[np.arange(rows), rng.integers(ACTIONS, size=rows)] = True
    cells = rng.integers(CELLS, size=(rows, 1)).astype(np.int32)
    action = replace_illegal(rng.integers(ACTIONS, size=rows), mask, rng)
    return torch.from_numpy(CHOICES.append_mask(cells, mask)), torch.from_numpy(mask), torch.from_numpy(action)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_policies():
    table = TabularPolicy(CODEC, CHOICES, critic=True)
    with torch.no_grad():
        table.logits.normal_(generator=generator(1))
    network = Policy(CODEC, CHOICES, generator=generator(2), **SHAPE)
    with torch.no_grad():
        network.actor_head.weight.mul_(200)
    return {"table": table, "network": network}


@pytest.mark.parametrize("kind", ["table", "network"])
def test_probabilities_are_those_among_allowed_actions(kind):
    policy = make_policies()[kind]
    x, mask, action = batch()
    free = torch.stack([policy.evaluate(x[:, :1], torch.full((len(x),), a)).log_prob for a in range(ACTIONS)], dim=1)
    weights = free.exp() * mask
    expected = weights / weights.sum(dim=1, keepdim=True)
    found = torch.stack([policy.evaluate(x, torch.full((len(x),), a)).log_prob for a in range(ACTIONS)], dim=1)
    assert torch.equal(torch.isneginf(found), ~mask)
    torch.testing.assert_close(found.exp(), expected)
    evaluation = policy.evaluate(x, action)
    entropy = -(expected * torch.where(mask, expected.log(), 0.0)).sum(dim=1)
    torch.testing.assert_close(evaluation.entropy, entropy)
    acting = policy.act(x, policy.initial_state(len(x)), None, generator(5), True)
    assert torch.equal(acting.action, expected.argmax(dim=1))
    for seed in range(20):
        drawn = policy.choose(x, generator(seed))
        assert mask[torch.arange(len(x)), drawn].all()


@pytest.mark.parametrize("kind", ["table", "network"])
def test_gradients_are_finite_and_leave_masked_logits_alone(kind):
    policy = make_policies()[kind]
    x, mask, action = batch()
    evaluation = policy.evaluate(x, action)
    (evaluation.log_prob.sum() + evaluation.entropy.sum()).backward()
    gradients = [p.grad for p in policy.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    if kind == "table":
        seen = torch.zeros(CELLS, ACTIONS, dtype=torch.bool)
        for cell in range(CELLS):
            seen[cell] = mask[x[:, 0] == cell].any(dim=0)
        assert (policy.logits.grad[~seen] == 0).all()


def test_the_gradient_by_hand_is_that_of_autograd():
    policy = Policy(CODEC, CHOICES, generator=generator(2), **SHAPE)
    with torch.no_grad():
        policy.actor_head.weight.mul_(200)
    x, _, action = batch()
    evaluation = policy.evaluate(x, action)
    given = [torch.randn(len(x), generator=generator(k)) for k in range(3)]
    outputs = [evaluation.log_prob, evaluation.value, evaluation.entropy]
    expected = torch.autograd.grad(outputs, list(policy.parameters()), given)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    closed = ClosedFormPolicy(policy)
    found = closed.evaluate(x, action)
    for mine, theirs in zip(found, evaluation, strict=True):
        torch.testing.assert_close(mine, theirs.detach())
    closed.backward(*given)
    for parameter, gradient in zip(policy.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)


def test_soft_values_are_expectations_over_allowed_actions():
    actor = CategoricalActor(CODEC, ACTIONS, generator=generator(3), **SHAPE)
    x, mask, _ = batch()
    log_probs = actor(x)
    assert torch.equal(torch.isneginf(log_probs), ~mask)
    q = torch.randn(2, len(x), ACTIONS, generator=generator(4))
    found = soft.discrete_soft_value(q, log_probs, 0.3)
    loss = soft.discrete_actor_loss(q, log_probs, 0.3)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in actor.parameters())
    expected = []
    for i in range(len(x)):
        p, low = log_probs[i][mask[i]].exp(), q[:, i][:, mask[i]].amin(dim=0)
        expected.append((p * (low - 0.3 * p.log())).sum())
    torch.testing.assert_close(found, torch.stack(expected))
    torch.testing.assert_close(loss, -torch.stack(expected).mean())


def test_the_entropy_asked_for_falls_with_the_number_of_allowed_actions():
    agent = agents.make("SACDiscrete", ring(), **small("SACDiscrete"))
    x, mask, _ = batch()
    share = agent.config.target_entropy_ratio
    expected = share * (np.log(ACTIONS) - np.log(mask.sum(dim=1).numpy()).mean())
    assert float(agent._missing(x)) == pytest.approx(expected, rel=1e-5)
    assert agent._missing(x[:, :1]) == 0


def test_rows_that_allow_nothing_allow_everything():
    policy = make_policies()["table"]
    x, _, action = batch()
    bare = policy.evaluate(x[:, :1], action)
    x[:, 1:] = 0
    assert torch.equal(policy.evaluate(x, action).log_prob, bare.log_prob)


# ------------------------------------------------------------------ behavioural cloning


def test_bc_learns_from_masks_in_observations_and_predicts_with_them(tmp_path, monkeypatch):
    import warnings

    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for inside in (True, False):
        gym.register("RingOfTests-v0", Ring, kwargs={"inside": inside})
        try:
            random = agents.make("Random", ring(inside=inside), device="cpu")
            buffers = collect("RingOfTests-v0", random.predict, episodes=8, seed=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                env = Ring(inside)
                dataset = minari.create_dataset_from_buffers(
                    f"test/ring-{inside}-v0".lower(),
                    buffers,
                    observation_space=env.observation_space,
                    action_space=env.action_space,
                )
            agent = agents.make("BC", dataset, hidden=(8,), batch_size=8, device="cpu").learn(20)
            assert evaluate(agent, ring(inside=inside), episodes=6).lengths.tolist() == [LENGTH] * 6
        finally:
            del gym.registry["RingOfTests-v0"]


# ------------------------------------------------------------------ coding games


def test_the_speaker_makes_no_move_that_is_masked():
    example = specs()["IndependentPPO"].example
    agent = agents.make(
        "IndependentPPO", example.source, env_kwargs=dict(example.env_kwargs), device="cpu", **example.hyperparameters
    )
    agent.learn(48)
    env = gym.make_vec(example.source, num_envs=4, **example.env_kwargs)
    observation, infos = env.reset(seed=0)
    ask, state, start, restricted = with_masks(agent.predict), None, np.ones(4, bool), 0
    resetting = np.zeros(4, bool)
    for _ in range(30):
        action, state = ask(observation, state, start, False, infos)
        allowed = infos["action_mask"][np.arange(4), action[:, 0]] == 1
        restricted += (infos["action_mask"] == 0).any(axis=1).sum()
        assert (allowed | resetting | ~infos["action_mask"].any(axis=1)).all()
        observation, _, terminated, truncated, infos = env.step(action)
        start, resetting = resetting, terminated | truncated
    assert restricted > 10
    listener = agent.players["receiver"]
    assert listener.experience.mask_dim == 0


# ------------------------------------------------------------------ masks as such


def test_masks_are_read_from_infos_of_both_autoreset_modes():
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        env = ring(mode)
        _, infos = env.reset(seed=3)
        for _ in range(3 * LENGTH):
            mask = current_mask(infos)
            expected = np.stack([one.unwrapped.mask() for one in env.envs])
            np.testing.assert_array_equal(mask, expected == 1)
            resetting = [one.unwrapped.time == LENGTH for one in env.envs]
            actions = mask.argmax(axis=1)
            _, _, terminated, truncated, infos = env.step(actions)
            done = terminated | truncated
            led = mask_led_to(infos, done, current_mask(infos))
            if mode == AutoresetMode.SAME_STEP and done.any():
                for i in np.flatnonzero(done):
                    assert (led[i] == (infos["final_info"]["action_mask"][i] == 1)).all()
            assert not any(resetting) or mode == AutoresetMode.NEXT_STEP


def test_wrong_masks_are_one_sentence():
    for mask in (np.ones((2, 3)), np.ones(4), np.full((2, 4), 2), "abcd", np.full((2, 4), np.nan)):
        with pytest.raises(EnvzooError, match="action_mask has the shape"):
            check_mask(mask, 2, 4)
    agent = agents.make("PPO", ring(), **small("PPO"))
    with pytest.raises(EnvzooError, match=r"action_mask has the shape \(1, 3\)"):
        agent.predict(np.int64(1), action_mask=np.ones(3))

    class Wrong(Ring):
        def __init__(self):
            super().__init__(True)
            self.observation_space = spaces.Dict({"action_mask": spaces.MultiBinary(3), "cell": spaces.Discrete(5)})

    with pytest.raises(UnsupportedSpaceError, match=r"the entry action_mask of the observation is MultiBinary\(3\)"):
        agents.make("PPO", Wrong(), **small("PPO"))


def test_an_environment_that_allows_nothing_is_refused():
    class Stuck(Ring):
        def mask(self):
            return super().mask() * (self.time < 2)

    agent = agents.make("PPO", Stuck, **small("PPO"))
    with pytest.raises(EnvzooError, match="action_mask allows no action in the running episode 0"):
        agent.learn(40)


def test_one_observation_has_one_mask():
    for name in ("PPO", "SACDiscrete", "DIAYN", "Random", "BC"):
        if name == "BC":
            continue
        agent = agents.make(name, ring(), **small(name))
        for only in range(ACTIONS):
            mask = np.eye(ACTIONS, dtype=np.int8)[only]
            action, _ = agent.predict(np.int64(2), action_mask=mask)
            assert np.ndim(action) == 0
            assert action == only
            batched, _ = agent.predict(np.array([1, 2]), action_mask=np.stack([mask, mask]))
            assert batched.tolist() == [only, only]


def test_legal_actions_are_drawn_evenly():
    rng = np.random.default_rng(0)
    mask = np.tile([True, False, True, False, True], (30_000, 1))
    drawn = replace_illegal(rng.integers(5, size=len(mask)), mask, rng)
    counts = np.bincount(drawn, minlength=5)
    assert counts[[1, 3]].tolist() == [0, 0]
    assert np.abs(counts[[0, 2, 4]] / len(mask) - 1 / 3).max() < 0.015


def test_policies_without_the_keyword_are_asked_without_masks():
    def predict(observation, state, start, deterministic):
        return observation, state

    assert with_masks(predict)(1, 2, None, True, {"action_mask": np.ones((1, 4))}) == (1, 2)
