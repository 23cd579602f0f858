"""MOPO: the ensemble against single networks, the fit, imagined flights by hand, and refusals."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats

from envzoo import agents
from envzoo.agents.checkpoint import _encode
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.calibration import calibrate, calibration_report, model_errors, promised_return
from envzoo.agents.offline.design_search import DesignSpace, search_designs
from envzoo.agents.offline.ensemble import DECAYS, ProbEnsemble, layer_decays, soft_clamp
from envzoo.agents.offline.penalties import PENALTIES
from envzoo.agents.offline.world_model import ModelShape, WorldModel
from envzoo.agents.seeding import Streams
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError

STRIPED = "envzoo/line-world/striped-v0"
SMALL = {
    "hidden": (16,),
    "batch_size": 32,
    "steps_per_iteration": 5,
    "members": 3,
    "elites": 2,
    "model_hidden": (16,),
    "model_epochs": 3,
    "rollout_batch": 40,
    "rollout_every": 10,
    "rollout_length": 3,
}


def make(seed=0, source=STRIPED, **hyperparameters):
    return agents.make("MOPO", source, seed=seed, device="cpu", threads=1, **(SMALL | hyperparameters))


def fitted(**hyperparameters):
    return make(**hyperparameters).learn(1)


def leaves(agent):
    arrays = {}
    _encode(agent.state_dict(), arrays)
    return [array.tobytes() for array in arrays.values()]


def linear_world(count=400, seed=0):
    """Transitions s' = s + .1 a, r = s_0, without noise."""
    generator = torch.Generator().manual_seed(seed)
    s, a = torch.randn(count, 2, generator=generator), torch.rand(count, 2, generator=generator) * 2 - 1
    return Batch(s, a, s[:, 0].clone(), torch.zeros(count), s + 0.1 * a)


def world_model(data, seed=0, **shape):
    settings = {"members": 2, "elites": 1, "hidden": (32,), "learning_rate": 3e-3, "batch_size": 32, "patience": 5}
    return WorldModel(data, ModelShape(**(settings | {"epochs": 60} | shape)), Streams(seed))


# ---------------------------------------------------------------------- ensemble


def test_members_are_independent_networks():
    net = ProbEnsemble(3, 4, 2, (8, 8), torch.Generator().manual_seed(0), terminations=True)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    mean, log_variance, logit = net(x)
    for m in range(3):
        h = x
        for layer in range(3):
            h = h @ net.net.weights[layer][m] + net.net.biases[layer][m]
            h = torch.nn.functional.silu(h) if layer < 2 else h
        assert torch.allclose(mean[m], h[:, :2], atol=1e-6)
        assert torch.allclose(log_variance[m], soft_clamp(h[:, 2:4], net.low, net.high), atol=1e-6)
        assert torch.allclose(logit[m], h[:, 4], atol=1e-6)


def test_the_soft_clamp_has_its_bounds():
    low, high = torch.tensor(-10.0), torch.tensor(0.5)
    x = torch.tensor([-1e4, -5.0, 0.0, 1e4])
    found = soft_clamp(x, low, high)
    assert (found >= -10).all()
    assert (found <= 0.5 + 1e-4).all()
    assert found[1] == pytest.approx(-5, abs=0.02)
    assert found.diff().min() >= 0


def test_the_loss_by_hand():
    net = ProbEnsemble(2, 3, 2, (4,), torch.Generator().manual_seed(0), terminations=True)
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 5, 3, generator=generator), torch.randn(2, 5, 2, generator=generator)
    ends = torch.randint(2, (2, 5), generator=generator).float()
    mean, log_variance, logit = net(x)
    expected = 0.0
    for m in range(2):
        expected += ((mean[m] - y[m]) ** 2 / log_variance[m].exp() + log_variance[m]).mean()
        q = torch.sigmoid(logit[m])
        expected -= (ends[m] * q.log() + (1 - ends[m]) * (1 - q).log()).mean()
    expected += 2.5e-5 / 2 * net.net.weights[0].square().sum() + 1e-4 / 2 * net.net.weights[1].square().sum()
    expected += 0.01 * 2 * 10.5
    assert float(net.loss(x, y, ends).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert layer_decays(5) == [2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4]
    assert layer_decays(1) == [DECAYS[-1]]


# ---------------------------------------------------------------------- fit


def test_a_linear_world_is_learned():
    data = linear_world()
    model = world_model(data)
    while not model.fitted:
        model.train_epoch()
    error = model.expected(model.predict(data.observation, data.action), data.observation) - data.next_observation
    assert error.abs().mean() < 0.1 * 0.1 * data.action.abs().mean() / 0.5 + 0.02
    assert model.terminated is None


def test_held_out_rows_are_not_learned_from_and_the_best_pass_is_kept():
    data = linear_world()
    model = world_model(data, epochs=8, patience=8)
    assert len(model.held) == 80
    assert not set(model.held.tolist()) & set(model.rows.flatten().tolist())
    assert not torch.equal(model.rows[0], model.rows[1])
    while not model.fitted:
        model.train_epoch()
    held = model.held
    mean = model.predict(data.observation[held], data.action[held]).mean
    y = model.targets(model.y)[held]
    error = (mean - y).square().mean(dim=(1, 2)).numpy()
    assert error == pytest.approx(model.facts.errors, rel=1e-4)
    assert model.facts.elites.tolist() == [int(np.argmin(error))]


def test_few_transitions_are_enough():
    model = world_model(linear_world(3), epochs=2)
    assert len(model.held) == 3
    while not model.fitted:
        model.train_epoch()


def test_imagined_states_stay_within_reach_of_the_data():
    data = linear_world()
    model = world_model(data, epochs=1)
    model.train_epoch()
    far = torch.full((4, 2), 100.0)
    step = model.step(far, torch.zeros(4, 2), torch.Generator().manual_seed(0))
    seen = torch.cat([data.observation, data.next_observation])
    low, high = seen.amin(dim=0), seen.amax(dim=0)
    assert torch.allclose(step.next_observation, ((low + high) / 2 + 1.5 * (high - low)).expand(4, 2), atol=1e-5)
    assert step.beyond.all()
    near = model.step(data.observation[:4], torch.zeros(4, 2), torch.Generator().manual_seed(0))
    assert not near.beyond.any()


def test_the_sample_is_of_its_member():
    agent = fitted(elites=1)
    x, a = agent.data.observation[:200], agent.data.action[:200]
    step = agent.model.step(x, a, torch.Generator().manual_seed(0))
    assert set(step.member.tolist()) == set(agent.model.facts.elites.tolist())
    one = int(step.member[0])
    noise = (step.sample - step.prediction.mean[one]) / step.prediction.std[one]
    again = torch.Generator().manual_seed(0)
    torch.randint(1, (200,), generator=again)
    assert torch.allclose(noise, torch.empty_like(noise).normal_(generator=again), atol=1e-3)


# ---------------------------------------------------------------------- the agent


def test_the_models_come_first_and_take_no_timesteps():
    agent = make()
    seen = []
    agent.learn(10, callback=lambda agent, metrics: seen.append((agent.num_timesteps, sorted(metrics))))
    assert [steps for steps, _ in seen] == [0, 0, 0, 5, 10]
    assert "model/error" in seen[0][1]
    assert "loss/critic" in seen[-1][1]


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_resume_is_exact_in_every_phase(tmp_path, stop):
    """After `stop` iterations: while the models learn, between the phases, and amid imagined flights."""
    whole = make(penalty_target=1.0).learn(40)
    part = make(penalty_target=1.0)
    part.learn(40, callback=lambda agent, metrics: agent.iteration < stop)
    part.save(tmp_path / "agent.zip")
    again = agents.load(tmp_path / "agent.zip", STRIPED, device="cpu")
    again.learn()
    assert leaves(again) == leaves(whole)


def test_the_penalty_is_subtracted_from_imagined_rewards_only():
    free, charged = (fitted(penalty_weight=weight, penalty="ensemble_std") for weight in (0.0, 2.0))
    batches, state = [], copy.deepcopy(free.state_dict())
    for agent in (free, charged):
        agent.load_state_dict(state)
        batches.append(agent.sample(torch.Generator().manual_seed(1)))
        _, u = agent.imagined.sample(30, _after_randint(len(agent.data.reward), 2))
    real = round(0.05 * 32)
    assert torch.equal(batches[0].reward[:real], batches[1].reward[:real])
    difference = batches[0].reward[real:] - batches[1].reward[real:]
    assert torch.allclose(difference, 2 * u, atol=1e-5)
    assert u.min() >= 0
    assert torch.equal(batches[0].next_observation, batches[1].next_observation)


def _after_randint(length, count):
    generator = torch.Generator().manual_seed(1)
    torch.randint(length, (count,), generator=generator)
    return generator


@pytest.mark.parametrize("name", PENALTIES)
def test_a_normalised_penalty_has_mean_one_on_the_data(name):
    agent = fitted(penalty=name, normalize_penalty=True)
    count = agent.count
    step = agent.model.step(agent.data.observation, agent.data.action, torch.Generator().manual_seed(0))
    assert float(agent.penalty(step).mean()) == pytest.approx(1, rel=0.5)
    raw = PENALTIES[name](step.prediction.mean, step.prediction.std, step.sample, step.member)
    assert torch.allclose(agent.penalty(step) * count.mean, raw, rtol=1e-4, atol=1e-7)


def test_flights_halt_where_the_models_disagree():
    agent = fitted(mode="halt", penalty="ensemble_std", halt_share=0.5, halt_reward=-7.0)
    steps = agent.fly(agent.data.observation[:200], 3, torch.Generator().manual_seed(0))
    alive = 200
    for batch, u in steps:
        assert len(u) == alive
        halted = u > 0.5 * agent.count.largest
        assert torch.equal(batch.reward[halted], torch.full_like(batch.reward[halted], -7.0))
        assert (batch.terminated[halted] == 1).all()
        alive = int((batch.terminated == 0).sum())
    u = steps[0][1]
    assert 0 < int((u > 0.5 * agent.count.largest).sum()) < 200
    assert agent.penalty_weight == 0


def test_the_smallest_possible_return_is_the_default_of_a_halt():
    agent = fitted(mode="halt", halt_share=0.0, gamma=0.9)
    (batch, u), *_ = agent.fly(agent.data.observation[:20], 1, torch.Generator().manual_seed(0))
    assert (u > 0).all()
    assert torch.allclose(batch.reward, agent.data.reward.min() / (1 - 0.9))


def test_a_flight_is_a_chain_of_model_steps():
    agent = fitted(penalty_weight=0.0)
    generator, again = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    (first, _), (second, _), *_ = agent.fly(agent.data.observation[:10], 3, generator)
    x = agent.data.observation[:10]
    with torch.no_grad():
        action = agent.actor.act(agent.normalizer(x), again, False)
        step = agent.model.step(x, action, again)
    assert torch.equal(first.action, action)
    assert torch.equal(first.reward, step.reward)
    assert torch.equal(second.observation, step.next_observation[~step.terminated & ~step.beyond])


def test_real_ratio_one_ignores_the_model():
    agent = fitted(real_ratio=1.0)

    def rows(observation, batch):
        return {tuple(row) for row in torch.column_stack([observation, batch.action, batch.reward]).tolist()}

    batch = agent.sample(torch.Generator().manual_seed(0))
    logged = rows(agent.normalizer(agent.data.observation), agent.data)
    assert rows(batch.observation, batch) <= logged


def test_old_rounds_are_dropped():
    agent = make(rollout_rounds=2, rollout_every=5, rollout_length=1).learn(30)
    assert [len(block[2]) for block in agent.imagined.blocks] == [40, 40]


def test_terminations_are_learned_where_the_data_have_any():
    assert make().model.terminated is None or bool(make().data.terminated.any())
    data = linear_world()
    ended = data._replace(terminated=(data.observation[:, 0] > 0.5).float())
    model = world_model(ended)
    while not model.fitted:
        model.train_epoch()
    clear = (data.observation[:, 0] - 0.5).abs() > 0.3
    step = model.step(data.observation[clear], data.action[clear], torch.Generator().manual_seed(0))
    assert (step.terminated == ended.terminated[clear].bool()).float().mean() > 0.95


# ---------------------------------------------------------------------- calibration


def test_calibration_of_samples():
    generator = np.random.default_rng(0)
    u, error = generator.normal(size=50).round(1), generator.normal(size=50).round(1)
    outside = generator.random(50) < 0.3
    found = calibrate(u, error, outside)
    assert found.spearman == pytest.approx(stats.spearmanr(u, error).statistic)
    assert found.pearson == pytest.approx(stats.pearsonr(u, error).statistic)
    pairs = [(a > b) + (a == b) / 2 for a in u[outside] for b in u[~outside]]
    assert found.auc == pytest.approx(np.mean(pairs))
    assert calibrate(np.ones(4), np.arange(4.0)).spearman == 0
    assert np.isnan(calibrate(u, error).auc)
    with pytest.raises(EnvzooError, match="two samples"):
        calibrate(np.ones(3), np.ones(4))
    with pytest.raises(EnvzooError, match="finite"):
        calibrate(np.array([1, np.nan]), np.ones(2))


def test_the_report_covers_every_penalty_and_a_perfect_model_has_no_error():
    agent = fitted()
    x = agent.data.observation[:60].numpy()
    a = agent.actions.to_environment(agent.data.action[:60].numpy())

    def itself(observation, action):
        prediction = agent.model.predict(agent.data.observation[:60], agent.data.action[:60])
        return agent.model.expected(prediction, agent.data.observation[:60]).numpy()

    assert model_errors(agent, itself, x, a).max() < 1e-5
    found = calibration_report(agent, lambda s, a: s + 0.1, x, a, outside=x[:, 0] > 5)
    assert found.keys() == PENALTIES.keys()
    assert all(-1 <= entry.spearman <= 1 and 0 <= entry.auc <= 1 for entry in found.values())
    alone = calibration_report(agent, lambda s, a: s + 0.1, x, a, members=1)
    assert alone["ensemble_std"].spearman == 0
    with pytest.raises(EnvzooError, match="has not been fitted"):
        calibration_report(make(), itself, x, a)
    with pytest.raises(EnvzooError, match="expected a number from 1 to 3"):
        calibration_report(agent, itself, x, a, members=4)
    with pytest.raises(UnknownNameError):
        calibration_report(agent, itself, x, a, penalties=["none"])
    with pytest.raises(EnvzooError, match=r"observations are \(B, 1\)"):
        calibration_report(agent, itself, np.zeros((3, 2)), a)


def test_the_promised_return_adds_model_rewards():
    agent = fitted()
    start = agent.data.observation[:5].numpy()
    one, two = (promised_return(agent, start, steps, seed=1) for steps in (1, 2))
    generator = torch.Generator().manual_seed(1)
    x = agent.data.observation[:5]
    with torch.no_grad():
        step = agent.model.step(x, agent.actor.act(agent.normalizer(x), None, True), generator)
    assert one == pytest.approx(step.reward.numpy(), abs=1e-6)
    assert two.shape == (5,)


# ---------------------------------------------------------------------- search


def test_the_search_finds_the_best_weight_and_scores_it_on_fresh_seeds(foreign):
    foreign("optuna")
    calls = []

    def evaluate(design, seed):
        calls.append(seed)
        return -abs(np.log10(design["penalty_weight"])) - 0.1 * (design["penalty"] != "ensemble_std") + 0.001 * seed

    found = search_designs(evaluate, 30, seed=3, fresh_seeds=[7, 8])
    assert calls == [3] * 30 + [7, 8]
    assert found.selected == max(score for _, score in found.trials)
    assert found.fresh.tolist() == pytest.approx([found.selected + 0.004, found.selected + 0.005])
    assert len(found.trials) == 30
    again = search_designs(evaluate, 30, seed=3, fresh_seeds=[7, 8])
    assert again.trials == found.trials
    for design, _ in found.trials:
        agents.make("MOPO", STRIPED, device="cpu", **{**SMALL, **design, "model_hidden": (4,)})
        break


def test_refusals_of_the_search():
    with pytest.raises(EnvzooError, match="expected seeds other than that of the search"):
        search_designs(lambda design, seed: 0.0, 2, seed=1, fresh_seeds=[1])
    with pytest.raises(EnvzooError, match="trials is 0"):
        search_designs(lambda design, seed: 0.0, 0, seed=1, fresh_seeds=[2])
    with pytest.raises(UnknownNameError):
        DesignSpace(penalties=("none",))
    with pytest.raises(EnvzooError, match="penalty_weight of a design space"):
        DesignSpace(penalty_weight=(0.0, 1.0))


# ---------------------------------------------------------------------- refusals


def test_refusals(monkeypatch, random_walks):
    with pytest.raises(UnknownNameError, match="did you mean 'max_aleatoric'"):
        make(penalty="max_aleatorik")
    with pytest.raises(EnvzooError, match="elites is at most that"):
        make(members=2, elites=3)
    with pytest.raises(EnvzooError, match="real_ratio of MOPO lies in"):
        make(real_ratio=1.5)
    with pytest.raises(EnvzooError, match="needs the mode 'penalty'"):
        make(mode="halt", penalty_target=1.0)
    with pytest.raises(EnvzooError, match="gamma 1 needs a halt_reward"):
        make(mode="halt", gamma=1.0)
    with pytest.raises(EnvzooError, match="over the limit"):
        make(members=10**7, elites=1)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(random_walks))
    with pytest.raises(UnsupportedSpaceError, match="MOPO takes Box actions"):
        make(source="envzoo/grid-coverage/random-v0")
