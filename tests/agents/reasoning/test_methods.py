"""Methods apart from their trainers: one of ten lines in both trainers, extras, explicit state, and former names."""

import importlib
import json
import warnings
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from reasoning_training import SMALL, train, weights

from envzoo import agents
from envzoo.agents.registry import unregister
from envzoo.agents.seeding import Streams
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.method import Method, make_method, method_names
from envzoo.agents.text.rollouts import TextRollout, answers, concatenate
from envzoo.agents.text.trainer import TextAgent
from envzoo.errors import EnvzooError, UnknownNameError

SUM = ("envzoo/TextSumTo-Tokens-v0", {"terms": 2})


@dataclass(frozen=True)
class ToyConfig(TextConfig):
    """A hyperparameter of its own."""

    scale: float = 1.0


class ToyMethod(Method):
    """REINFORCE, weighted by the largest probability when the token was sampled, counting its minibatches."""

    records = ("best",)

    def initial_state(self):
        return {"minibatches": 0}

    def record(self, log_probs, token):
        return {"best": log_probs.amax(-1).exp()}

    def observe(self, entropy, batch):
        self.state["minibatches"] += 1

    def token_loss(self, logp, entropy, batch):
        return -self.config.scale * batch.extras["best"] * batch.advantage * logp, {"best": batch.extras["best"].max()}


class Toy(TextAgent):
    """A toy."""

    Method, Config = ToyMethod, ToyConfig


@pytest.fixture
def toy():
    agents.register("Toy", Toy)
    yield "Toy"
    unregister("Toy")


def make(name, source=SUM, **changes):
    env_id, env_kwargs = source
    settings = {**SMALL, "warm_up_updates": 5, **changes}
    return agents.make(name, env_id, seed=0, device="cpu", env_kwargs=env_kwargs, **settings)


# ---------------------------------------------------------------------- a method of one's own


@pytest.mark.parametrize("changes", [{}, {"staleness": 1, "partial_rollout": 2, "micro_batch": 3}])
def test_a_method_of_ones_own_trains_and_resumes(toy, tmp_path, changes):
    whole, part = make(toy, **changes), make(toy, **changes)
    rows = train(whole, 4)
    assert 0 < rows[0]["policy/best"] <= 1
    assert whole.method.state == {"minibatches": 8}
    train(part, 2)
    part.save(tmp_path / "toy.zip")
    resumed = agents.load(tmp_path / "toy.zip", device="cpu")
    assert resumed.method.state == {"minibatches": 4}
    train(resumed, 2)
    assert torch.equal(weights(resumed), weights(whole))


def test_extras_are_those_of_the_sampling_policy(toy):
    agent = make(toy)
    agent._warm_up()
    rollout = agent.generate()
    log_probs = agent._log_probs(agent.policy, rollout)[1]
    best = torch.where(rollout.mask > 0, log_probs.amax(-1).exp(), 0.0)
    torch.testing.assert_close(rollout.extras["best"], best, atol=1e-5, rtol=0)


def test_a_method_of_ones_own_trains_in_trl(toy, tmp_path):
    pytest.importorskip("trl")
    from trl import GRPOConfig

    from envzoo.agents.reasoning.trl import MethodTrainer, Puzzles
    from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama

    tokenizer = character_tokenizer("".join(map(chr, range(32, 127))) + "\n")
    args = GRPOConfig(
        str(tmp_path), use_cpu=True, bf16=False, activation_checkpointing=False, report_to="none", save_strategy="no",
        logging_strategy="no", disable_tqdm=True, per_device_train_batch_size=8, steps_per_generation=2,
        num_generations=4, max_completion_length=4, max_steps=2, learning_rate=1e-2, dataloader_pin_memory=False,
        gradient_accumulation_steps=1,
    )  # fmt: skip
    trainer = MethodTrainer(
        tiny_llama(len(tokenizer), 256, 16, 1, 2),
        lambda completion_ids, **_: [float(sum(ids) % 3) for ids in completion_ids],
        args, Puzzles("envzoo/TextSumTo-v0", terms=2).dataset(8, conversational=False), processing_class=tokenizer,
        method=toy, settings={"scale": 2.0},
    )  # fmt: skip
    before = torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()])
    trainer.train()
    assert trainer.method.config.scale == 2.0
    assert trainer.method.state == {"minibatches": 2}
    assert not torch.equal(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]), before)


def test_an_agent_with_the_loss_in_the_wrong_place_is_refused():
    with pytest.raises(EnvzooError, match="Wrong defines token_loss, which nothing calls"):

        class Wrong(TextAgent):
            def token_loss(self, logp, entropy, batch):
                return logp, {}


# ---------------------------------------------------------------------- independence of trainer, model and task


@pytest.mark.parametrize("name", method_names())
def test_a_method_needs_neither_trainer_nor_model(name):
    """A softmax table instead of a model: logits (positions, states, tokens), whose gradient is that of `objective`."""
    generator = torch.Generator().manual_seed(0)
    method = make_method(name, 3, seed=1, num_prompts=2, group_size=4, num_minibatches=1)
    table = torch.randn(3, 5, generator=generator, dtype=torch.float64).requires_grad_()
    log_probs = table.log_softmax(-1).expand(8, 3, 5)
    tokens = torch.randint(5, (8, 3), generator=generator)
    logp = log_probs.gather(-1, tokens[..., None]).squeeze(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    mask = torch.ones(8, 3, dtype=torch.float64)
    parts = [method.record(log_probs[:, t].detach(), tokens[:, t]) for t in range(3)]
    extras = {key: torch.stack([part[key] for part in parts], 1) for key in method.records}
    rollout = answers(
        mask, tokens=tokens, old_logp=logp.detach(), entropy=entropy.detach(), extras=extras,
        reward=(tokens[:, 0] % 2).double(), group=torch.arange(2).repeat_interleave(4),
    )  # fmt: skip
    advantage, metrics = method.advantages(rollout)
    rollout = rollout.replace(advantage=advantage)
    learned, more = method.select_mask(rollout)
    loss, _ = method.objective(logp, entropy, rollout.replace(mask=learned))
    (gradient,) = torch.autograd.grad(loss, table)
    assert gradient.shape == table.shape
    assert bool(gradient.any())
    assert all(isinstance(value, float) for value in (metrics | more).values())


def test_a_loss_does_not_change_the_state():
    method = make_method("HAPO", 3, num_prompts=1, group_size=2, num_minibatches=1)
    mask = torch.ones(2, 3)
    entropy = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    batch = answers(mask, advantage=mask)
    method.token_loss(-mask, entropy, batch)
    assert method.state == {"scale": []}
    assert method.temperature() is None
    method.observe(entropy, batch)
    assert len(method.state["scale"]) == 4
    assert method.temperature()(entropy[0]).shape == (3,)


def test_methods_are_found_by_name(toy):
    assert isinstance(make_method(toy, 4), ToyMethod)
    for name in ("PPO", "GRPPO", 3):
        with pytest.raises(UnknownNameError, match="unknown method"):
            make_method(name, 4)
    streams = Streams(0)
    with pytest.raises(NotImplementedError, match="Method does not implement token_loss"):
        Method(TextConfig(), streams=streams, longest=1).token_loss(torch.zeros(1, 1), torch.zeros(1, 1), None)


# ---------------------------------------------------------------------- rollouts with extras


def test_rollouts_carry_extras_through_all_operations():
    mask = torch.ones(4, 2)
    one = answers(mask, extras={"x": torch.arange(8.0).view(4, 2)}, group=torch.tensor([0, 0, 1, 1]))
    assert one.rows(torch.tensor([2])).extras["x"].tolist() == [[4.0, 5.0]]
    both = concatenate([one, one])
    assert both.extras["x"].shape == (8, 2)
    assert both.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert set(TextRollout(**one.fields()).extras) == {"x"}


def test_files_of_the_first_release_hold_the_extra_among_the_fields():
    agent = make("LpReg", staleness=1, partial_rollout=2)
    train(agent, 2)
    queue, partial = agent.queue.state_dict(), agent.partial.state_dict()
    expected = [item["extras"]["proxy_logp"] for item in queue["items"]], partial["draft"]["extras"]["proxy_logp"]
    for item in queue["items"]:
        item["proxy_logp"] = item.pop("extras")["proxy_logp"]
    partial["draft"]["proxy"] = partial["draft"].pop("extras")["proxy_logp"]
    other = make("LpReg", staleness=1, partial_rollout=2)
    other.queue.load_state_dict(queue)
    other.partial.load_state_dict(partial)
    assert expected[0][0].any()
    for item, tensor in zip(other.queue.items, expected[0], strict=True):
        assert torch.equal(item.extras["proxy_logp"], tensor)
    assert torch.equal(other.partial.completions.extras["proxy_logp"], expected[1])
    plain = make("GRPO", staleness=1, partial_rollout=2)  # which records nothing
    plain.queue.load_state_dict(queue)
    assert plain.queue.items[0].extras == {}


# ---------------------------------------------------------------------- former names


def test_former_names_of_hyperparameters(tmp_path):
    with pytest.warns(DeprecationWarning, match="keep_start of GRPO is now called keep_reference"):
        agent = make("GRPO", keep_start=False)
    assert agent.config.keep_reference is False
    assert agent.reference_policy is None
    with pytest.raises(EnvzooError, match="keep_start of GRPO is now called keep_reference; give one of them"):
        make("GRPO", keep_start=False, keep_reference=True)
    with pytest.raises(EnvzooError, match="hyperparameter keep_reference of GRPO expects"):
        make("GRPO", keep_reference=3)


def rename_in_header(path, changed):
    """Rewrite the config in the header of a file."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(parts["manifest.json"])
    manifest["header"]["config"] = changed(manifest["header"]["config"])
    parts["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as file:
        for part, data in parts.items():
            file.writestr(part, data)


@pytest.mark.filterwarnings("error:.*is now called:DeprecationWarning")
def test_a_file_with_a_former_name_loads_without_a_warning(tmp_path):
    agent = make("GRPO", keep_reference=False)
    agent.save(tmp_path / "agent.zip")
    rename_in_header(tmp_path / "agent.zip", lambda config: {"keep_start": config.pop("keep_reference"), **config})
    loaded = agents.load(tmp_path / "agent.zip", device="cpu")
    assert loaded.config == agent.config
    assert np.array_equal(weights(loaded), weights(agent))


@pytest.mark.parametrize(
    ("former", "name", "present"),
    [
        ("reasoning.grpo", "DAPO", "reasoning.dapo:DAPO"),
        ("reasoning.grpo", "CISPOConfig", "reasoning.cispo:CISPOConfig"),
        ("loops.rollouts", "Rollout", "text.rollouts:TextRollout"),
        ("loops.sampling", "Manner", "text.sampling:SamplingParams"),
        ("loops.text_memory", "Memory", "text.counters:Counters"),
        ("losses.text.hapo", "clip_bounds", "reasoning.hapo:clip_bounds"),
        ("losses.text.covariance", "clip_cov", "reasoning.entropy_mechanism:clip_cov"),
    ],
)
def test_former_names_of_classes_and_functions(former, name, present):
    place, _, attribute = present.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that of a module comes once in a process
        found = getattr(importlib.import_module(f"envzoo.agents.{former}"), name)
    assert found is getattr(importlib.import_module(f"envzoo.agents.{place}"), attribute)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(f"envzoo.agents.{place}").Nothing  # noqa: B018


def test_former_names_warn():
    with pytest.warns(DeprecationWarning, match=r"grpo\.RLOO is now envzoo\.agents\.reasoning\.rloo\.RLOO"):
        importlib.import_module("envzoo.agents.reasoning.grpo").RLOO  # noqa: B018
    with pytest.warns(DeprecationWarning, match=r"Rollout is now envzoo\.agents\.text\.rollouts\.TextRollout"):
        importlib.import_module("envzoo.agents.text.rollouts").Rollout  # noqa: B018


def test_former_attributes_of_agents():
    agent = make("GRPO")
    with pytest.warns(DeprecationWarning, match="start is now reference_policy"):
        assert agent.start is agent.reference_policy
    with pytest.warns(DeprecationWarning, match="memory is now counters"):
        assert agent.memory is agent.counters
