"""Training speed of our GRPO against TRL's GRPOTrainer, with models of equal size on equal prompts."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from envzoo import agents
from envzoo.agents.reasoning.trl_puzzles import hugging_face_dataset
from envzoo.errors import MissingExtraError, missing_extra
from envzoo.reasoning.catalogue import make_task
from envzoo.scripts.bench.report import Row

TASK = "TextSumTo"
PROMPTS, GROUP, MINIBATCHES = 32, 16, 4
SIZES = ((PROMPTS, GROUP), (4, 8))  # the default, dominated by arithmetic, and one dominated by overhead
DIM, LAYERS, HEADS = 64, 2, 4
WARM_UP = 150  # enough supervised updates that rewards differ and there is a learning signal
ROUNDS = 4  # of each in a turn, because a loop that follows a round of the other finds its data and code evicted
STILL = 1e-12  # a learning rate so small that every round does the same work


def character_tokenizer(characters: str) -> Any:
    """Create a transformers tokenizer in which each character is a token; 0 is padding and 1 is the end."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "<eos>": 1} | {sign: k for k, sign in enumerate(dict.fromkeys(characters), 2)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left", truncation_side="left"
    )


def tiny_llama(vocabulary: int, places: int, dim: int = DIM, layers: int = LAYERS, heads: int = HEADS) -> Any:
    """Create a Llama of about the size of our tiny model, with random weights from a local generator."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=dim, intermediate_size=8 * dim // 3, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=places,
        pad_token_id=0, eos_token_id=1, bos_token_id=None, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.02, generator=generator)
    return model


def grpo_agent(method: str = "GRPO", **changes: Any) -> Any:
    """Create our agent, after its supervised warm-up."""
    settings = {
        "num_prompts": PROMPTS, "group_size": GROUP, "num_minibatches": MINIBATCHES, "model_dim": DIM,
        "model_layers": LAYERS, "model_heads": HEADS, "warm_up_updates": WARM_UP, "learning_rate": STILL,
        "keep_reference": False,
    }  # fmt: skip
    agent = agents.make(method, f"envzoo/{TASK}-Tokens-v0", device="cpu", **settings | changes)
    agent.target_timesteps = 10**9
    return agent


def trl_rows(rounds: int) -> list[Row]:
    """Measure tokens per second of both, in turns.

    TRL's model writes answers of the full length, so that it spends no steps on finished answers.

    Args:
        rounds: Turns of each, of `ROUNDS` rollouts, after an uncounted first one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for size in SIZES for row in _rows(rounds, *size)]
    except MissingExtraError as error:
        return [Row("GRPO, whole loop: TRL", float("nan"), "tokens/s", note=str(error))]
    finally:
        torch.set_num_threads(before)


def _rows(rounds: int, prompts: int, group: int) -> list[Row]:
    ours = grpo_agent(num_prompts=prompts, group_size=group)
    seconds: dict[str, list[float]] = {"ours": [], "TRL": []}
    tokens: dict[str, list[int]] = {"ours": [], "TRL": []}

    def turn() -> None:
        written, began = ours.num_timesteps, time.perf_counter()
        for _ in range(ROUNDS):
            ours.iterate()
        seconds["ours"].append(time.perf_counter() - began)
        tokens["ours"].append(ours.num_timesteps - written)

    turn()
    parameters = run_trl((rounds + 1) * ROUNDS, prompts, group, turn, seconds["TRL"], tokens["TRL"])
    rates = {
        name: [n / s for n, s in zip(tokens[name][1:], seconds[name][1:], strict=True)] for name in ("ours", "TRL")
    }
    own = sum(p.numel() for p in ours.policy.parameters())
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates["TRL"], strict=False))
    size = f"{prompts} prompts x {group} answers of {ours.task.answer_length} tokens, {MINIBATCHES} steps"
    return [
        Row(
            f"GRPO {prompts} x {group}, whole loop: envzoo",
            max(rates["ours"]),
            "tokens/s",
            note=f"{own:,} parameters; {size}",
        ),
        Row(
            f"GRPO {prompts} x {group}, whole loop: TRL",
            max(rates["TRL"]),
            "tokens/s",
            ratio,
            5.0,
            f"{parameters:,} parameters",
        ),
    ]


def run_trl(rollouts: int, prompts: int, group: int, between: Any, seconds: list[float], tokens: list[int]) -> int:
    """Train with TRL, calling `between` after `ROUNDS` rollouts and their steps; return the number of parameters."""
    try:
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

    except ImportError as error:
        raise missing_extra("the comparison with TRL", "trl", "text") from error

    task = make_task(TASK)
    tokenizer = character_tokenizer(task.alphabet)
    asked = [{"prompt": task.text(row)} for row in task.sample(prompts * rollouts)]
    counted = [0]

    def rewards(prompts: Sequence[str], completions: Sequence[str], completion_ids: Any, **_: Any) -> list[float]:
        counted[0] += sum(map(len, completion_ids))
        return task.verify_text(prompts, completions).tolist()

    class Turns(TrainerCallback):
        began = 0.0

        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 0:
                self.began = time.perf_counter()

        def on_step_end(self, args, state, control, **_):
            if state.global_step % (ROUNDS * MINIBATCHES) == 0:
                seconds.append(time.perf_counter() - self.began)
                tokens.append(counted[0])
                counted[0] = 0
                between()
                self.began = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = GRPOConfig(
            folder, use_cpu=True, bf16=False, activation_checkpointing=False, report_to="none", save_strategy="no",
            logging_strategy="no", disable_tqdm=True, per_device_train_batch_size=prompts * group // MINIBATCHES,
            steps_per_generation=MINIBATCHES, gradient_accumulation_steps=1, num_generations=group,
            max_completion_length=task.answer_length, max_steps=MINIBATCHES * rollouts, learning_rate=STILL,
            generation_kwargs={"min_new_tokens": task.answer_length}, dataloader_pin_memory=False,
        )  # fmt: skip
        model = tiny_llama(len(tokenizer), task.prompt_length + task.answer_length)
        trainer = GRPOTrainer(
            model, rewards, settings, hugging_face_dataset(asked),
            processing_class=tokenizer, callbacks=[Turns()],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return sum(p.numel() for p in model.parameters())
