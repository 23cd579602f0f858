"""Hostile agent files by the thousand, each loaded under an audit hook; `make hostile` runs the full count.

From a valid file of every registered agent, files are made by seeded mutations of its contents: ids, paths, model
names, sizes, types, nesting, tensors, and the zip itself. Each is loaded. It has to end in one sentence or in an agent,
without any event (import, open, subprocess, socket, exec, compile, os.*) that the valid files do not cause as well.

It runs in a process of its own, because audit hooks cannot be taken back: `python -P hostile.py COUNT SEED`.
"""

import contextlib
import json
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch

from envzoo import agents
from envzoo.agents.checkpoint import MANIFEST, TENSORS
from envzoo.agents.registry import agent_class
from envzoo.errors import EnvzooError


def beside(name):
    """Import a file of this folder."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations = beside("hostile_mutations")
WATCHED = ("import", "open", "exec", "compile", "subprocess.", "socket.", "os.", "shutil.", "ctypes.", "pickle.")
# ------------------------------------------------------------------- loading under watch

# Kernels are taken from Numba's own cache the first time that settings of any kind need them.
NUMBA = {("open", "<numba>"), ("ctypes.cdata", ""), ("pickle.find_class", "<numba>")}
_TRUSTED = ("numba", "llvmlite", "numpy", "envzoo", "copyreg", "_codecs", "collections")
_events = None  # a set while events are gathered


def _watch(event, arguments):
    if _events is not None and event.startswith(WATCHED):
        _events.add((event, normalised(event, arguments)))


def normalised(event, arguments):
    """The arguments of an event without what changes from run to run."""
    if event == "import":
        return arguments[0]
    if event == "pickle.find_class":
        trusted = arguments[0].split(".")[0] in _TRUSTED or arguments[:2] == ("builtins", "object")
        return "<numba>" if trusted else ".".join(map(str, arguments[:2]))
    if event == "exec":
        return getattr(arguments[0], "co_filename", "")
    if event in ("open", "os.listdir", "os.scandir", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"):
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        if path.startswith(tempfile.gettempdir()):
            return "<temporary>"
        return "<numba>" if path.endswith((".nbi", ".nbc")) else path
    return str(arguments[1])[:80] if event == "compile" else ""


def load(path):
    """Load a file; its events, the sentence or None, seconds, and megabytes at the peak above those before."""
    global _events
    before = _reset_peak()
    began, _events = time.process_time(), set()
    sentence = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agents.load(path, device="cpu")
    except EnvzooError as error:
        sentence = str(error)
    finally:
        events, _events = _events, None
    return events, sentence, time.process_time() - began, (_peak() - before) / 2**10


def _peak():
    """The largest resident memory since the last reset, in KiB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _reset_peak():
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def valid_files(folder):
    """A valid file of every agent, of one with a carrier, and of one with a model of its own where it can be made."""
    contract, found = beside("test_contract"), []
    (folder / "minari").mkdir()
    os.environ["MINARI_DATASETS_PATH"] = str(folder / "minari")
    datasets = contract.small_datasets()

    def keep(name, agent):
        path = folder / f"{name}.zip"
        agent.save(path)
        found.append(mutations.Valid(name, path))

    for name in agents.specs():
        agent, budget = contract.make_example(name, datasets), contract.example(name).timesteps
        keep(name, agent.learn(budget) if name in ("PPO", "SAC", "SubPO", "RND", "CombUCB1", "GRPO") else agent)
    carrier = agents.make("PPO", "FrozenLake-v1", device="cpu", hidden=(4,))
    carrier.save(folder / "carrier.zip")
    both = {"receiver": "player"}
    for text in (str(folder / "carrier.zip"), "PPO"):
        made = agents.make("MECB", "envzoo/CodingGridSmall-v0", env_kwargs=both, device="cpu", carrier=text)
        keep(f"MECB-{'file' if text != 'PPO' else 'PPO'}", made)
    keep("PPO-CartPole", agents.make("PPO", "CartPole-v1", device="cpu", hidden=(4,), num_envs=2))
    found += pretrained_files(folder)
    return found


def pretrained_files(folder):
    try:
        import tokenizers
        import transformers
    except ImportError:
        return []
    signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*=:>#?,.!()'/ \n;$_|<%"
    model = tokenizers.models.BPE({token: k for k, token in enumerate(["<end>", *signs])}, [])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(model), eos_token="<end>")
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2, n_positions=512, eos_token_id=0, bos_token_id=None
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    settings = {"num_prompts": 2, "group_size": 2, "num_minibatches": 1}
    agent = agents.make(
        *("GRPO", "envzoo/TextSumTo-v0"), device="cpu", env_kwargs={"terms": 2}, model=str(folder / "model"), **settings
    )
    agent.save(folder / "pretrained.zip")
    return [mutations.Valid("GRPO-pretrained", folder / "pretrained.zip")] * 4  # the more files of it


def run(count, seed):
    """Load `count` hostile files; a report of all that went wrong."""
    torch.set_num_threads(1)
    sys.addaudithook(_watch)
    report = {"loaded": 0, "refused": 0, "wrong": [], "slowest": [], "largest": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "evilmod.py").write_text("import builtins\nbuiltins.EVIL = True\n")
        sys.path.insert(0, name)
        valid, usual = valid_files(folder), set(NUMBA)
        # Classes of agents and what transformers looks for with a damaged tokenizer are imported once, whoever asks.
        for name_of in agents.specs():
            agent_class(name_of)
        with contextlib.suppress(ImportError):
            import google.protobuf.message  # noqa: F401
        path = folder / "agent.zip"
        # What a second load of the valid files does is usual, also for files whose settings are valid but others.
        for one in valid:
            path.write_bytes(mutations.pack([(MANIFEST, one.manifest), (TENSORS, one.tensors)]))
            for _ in range(2):
                events, sentence, *_ = load(path)
                if sentence is not None:
                    report["wrong"].append((one.name, "valid", sentence))
            usual |= events
        for number in range(count):
            r = random.Random(f"{seed}/{number}")
            one = valid[number % len(valid)]
            data, what = mutations.hostile(r, one)
            path.write_bytes(data)
            label = f"{number} {one.name} {what}"
            try:
                events, sentence, seconds, megabytes = load(path)
            except BaseException as error:  # anything but a sentence is wrong
                report["wrong"].append((label, "error", f"{type(error).__name__}: {str(error)[:300]}"))
                continue
            report["loaded" if sentence is None else "refused"] += 1
            if sentence is not None and (len(sentence.splitlines()) != 1 or len(sentence) > 2000):
                report["wrong"].append((label, "sentence", sentence[:300]))
            unusual = sorted(map(str, events - usual))
            if unusual:
                report["wrong"].append((label, "events", unusual[:8]))
            report["slowest"] = sorted([*report["slowest"], (round(seconds, 3), label)], reverse=True)[:8]
            report["largest"] = sorted([*report["largest"], (round(megabytes), label)], reverse=True)[:8]
        import builtins

        if hasattr(builtins, "EVIL") or "evilmod" in sys.modules:
            report["wrong"].append(("all", "import", "evilmod was imported"))
    return report


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), sys.argv[2])))
