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
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from envzoo import agents
from envzoo.agents import guard
from envzoo.agents.checkpoint import MANIFEST, TENSORS
from envzoo.agents.registry import agent_class
from envzoo.errors import EnvzooError

WATCHED = ("import", "open", "exec", "compile", "subprocess.", "socket.", "os.", "shutil.", "ctypes.", "pickle.")
TEXTS = (
    *("evilmod:Foo-v0", "evilmod:a:Foo-v0", "antigravity:Foo-v0", "os:Foo-v0", "evilmod", "evilmod.agent:Evil"),
    *("/etc/passwd", "../../../etc/passwd", "/dev/zero", "/proc/self/mem", "~/.ssh/id_rsa", "http://127.0.0.1:9/x"),
    *("evil/model", "./", "", "\x00", "\ud83e\udd8a", "🦊" * 40, "x" * 100_000, "{{ 7 * 7 }}", "__import__('os')"),
    *("PPO", "MECB", "planner", "CartPole-v1", "FrozenLake-v1", "envzoo/GridCoverage-v0", "D4RL/door/human-v2"),
)
NUMBERS = (
    *(-1, 0, 1, 7, 300, 20_000, 300_000, 10**7, 10**9, 10**12, 2**31, 2**63, 2**64, 10**30, 10**400),
    *(-(2**63), 0.5, 1e13, 1e308, float("inf"), float("-inf"), float("nan")),
)
KEYWORDS = ("render_mode", "vectorization_mode", "wrappers", "xml_file", "env_id", "num_envs", "max_episode_steps")


def junk(r):
    """A value that nobody expects."""
    kind = r.randrange(9)
    if kind < 3:
        return r.choice(TEXTS)
    if kind < 6:
        return r.choice(NUMBERS)
    nested = r.choice(TEXTS)
    for _ in range(r.choice((1, 3, 50, 400))):
        nested = [nested] if r.random() < 0.5 else {"a": nested}
    lists = (
        [r.choice(NUMBERS)] * r.choice((1, 2, 30)),
        [300_000] * 2,
        [1] * 20_000,
        {r.choice(TEXTS): r.choice(TEXTS)},
    )
    return r.choice((None, True, False, nested, *lists))


def nodes(tree):
    """Every (container, key) below a JSON tree."""
    left, found = [tree], []
    while left:
        item = left.pop()
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        for key, value in pairs:
            found.append((item, key))
            if isinstance(value, dict | list):
                left.append(value)
    return found


class Valid:
    """A valid file taken apart."""

    def __init__(self, name, path):
        self.name = name
        with zipfile.ZipFile(path) as archive:
            self.manifest, self.tensors = archive.read(MANIFEST), archive.read(TENSORS)

    def tree(self):
        return json.loads(self.manifest), {key: array.copy() for key, array in load_safetensors(self.tensors).items()}


# ------------------------------------------------------------------- mutations of what a file says


def names(r, tree, arrays):
    header = tree["header"]
    header["source"] = r.choice(TEXTS)


def configs(r, tree, arrays):
    config = tree["header"]["config"]
    for _ in range(r.choice((1, 1, 3))):
        config[r.choice([*config, "evil"]) if config else "evil"] = junk(r)


def texts_in_configs(r, tree, arrays):
    config = tree["header"]["config"]
    words = [key for key, value in config.items() if isinstance(value, str) or value is None]
    if words:
        config[r.choice(words)] = r.choice(TEXTS)


def numbers_in_configs(r, tree, arrays):
    config = tree["header"]["config"]
    numbers = [key for key, value in config.items() if isinstance(value, int | float | list) or value is None]
    if numbers:
        key = r.choice(numbers)
        many = isinstance(config[key], list)
        config[key] = [r.choice(NUMBERS) for _ in range(r.choice((1, 2, 9)))] if many else r.choice(NUMBERS)


def keywords(r, tree, arrays):
    given = tree["header"]["env_kwargs"]
    given[r.choice([*given, *KEYWORDS])] = junk(r)


def sizes_of_worlds(r, tree, arrays):
    """Larger worlds, with the spaces that they would have where it is quickly found out."""
    header = tree["header"]
    given = header["env_kwargs"]
    whole = [key for key, value in given.items() if isinstance(value, int) and not isinstance(value, bool)]
    for key in whole:
        if r.random() < 0.6:
            given[key] = r.choice((8, 30, 100, 1000, 20_000, 10**6, 10**9))
    if r.random() < 0.7:
        from envzoo.agents.source import resolve
        from envzoo.sizes import at_most

        try:
            with guard.reading("a file"), at_most(2**22):
                found = resolve(header["source"], agents.spec(header["agent"]), dict(given))
            header["observation_space"] = str(found.observation_space)
            header["action_space"] = str(found.action_space)
        except (EnvzooError, RecursionError, OverflowError, TypeError):
            pass


def headers(r, tree, arrays):
    header = tree["header"]
    key = r.choice([*header, "evil"])
    if r.random() < 0.2:
        header.pop(key, None)
    else:
        header[key] = junk(r)


def other_agents(r, tree, arrays):
    tree["header"]["agent"] = r.choice([*agents.specs(), *TEXTS])
    if r.random() < 0.5:
        tree["header"]["config"] = {}


def states(r, tree, arrays):
    for _ in range(r.choice((1, 1, 4))):
        found = nodes(tree["state"])
        if found:
            container, key = r.choice(found)
            if r.random() < 0.2:
                del container[key]
            else:
                container[key] = junk(r)


def markers(r, tree, arrays):
    found = [(box, key) for box, key in nodes(tree["state"]) if isinstance(box[key], dict) and "__array__" in box[key]]
    if found:
        container, key = r.choice(found)
        marks = [["numpy", "999999"], ["torch", r.choice(sorted(arrays))], ["bfloat16", r.choice(sorted(arrays))], 5]
        container[key] = r.choice([{"__array__": r.choice(marks)}, {"__items__": junk(r)}, {"__tuple__": junk(r)}])


def tensors(r, tree, arrays):
    for key in r.sample(sorted(arrays), min(len(arrays), r.choice((1, 3)))):
        array = arrays[key]
        change = r.randrange(5)
        if change == 0:
            arrays[key] = array.astype(r.choice((np.float64, np.int8, np.uint64, np.bool_, np.float16)))
        elif change == 1:
            arrays[key] = np.zeros(r.choice(((), (0,), (1, 1, 1), (3,), (1000, 50))), array.dtype)
        elif change == 2:
            arrays[key] = np.full_like(array, r.choice((0, 1, 100)))
        elif change == 3:
            arrays[key] = np.frombuffer(r.randbytes(array.nbytes), np.uint8).view(array.dtype).reshape(array.shape)
        else:
            del arrays[key]


def model_files(r, tree, arrays):
    """The configuration of an embedded language model, where there is one; else the tree of the state."""
    files = tree["state"].get("parts", {}).get("model_files") if isinstance(tree["state"], dict) else None
    if not files:
        return states(r, tree, arrays)
    name = r.choice([*files, "evil.py", "../evil.json", "adapter_config.json", "config.json", "tokenizer_config.json"])
    mark = files.setdefault(name, {"__array__": ["numpy", "model"]})
    key = mark["__array__"][1]
    try:
        values = json.loads(arrays[key].tobytes())
    except (KeyError, ValueError):
        values = {}
    evil = {
        "auto_map": {"AutoConfig": "evilmod.Config", "AutoTokenizer": ["evilmod.Tokenizer", None]},
        "trust_remote_code": True,
        "quantization_config": {"quant_method": "evilmod"},
        "attn_implementation": "evil/kernels",
        "_name_or_path": "/etc/passwd",
        "tokenizer_file": "/etc/passwd",
        "tokenizer_class": r.choice(("Trainer", "evilmod.Tokenizer", "AutoModel")),
        "model_type": r.choice(("clip", "evil", "gpt2", "mamba", "bert", 5)),
        "backbone": "evil/model",
    }
    values = values if isinstance(values, dict) else {}
    for key_of in r.sample(sorted(evil), r.choice((1, 2))):
        values[key_of] = evil[key_of]
    if r.random() < 0.5:
        values = {**values, r.choice(sorted(values)): junk(r)}
    arrays[key] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    return None


MUTATIONS = (
    *(names, configs, texts_in_configs, numbers_in_configs, keywords, sizes_of_worlds, headers, other_agents, states),
    *(markers, tensors, model_files),
)


# ------------------------------------------------------------------- mutations of the zip


def pack(members, compression=zipfile.ZIP_STORED):
    with tempfile.TemporaryFile() as file:
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
            warnings.simplefilter("ignore")  # about members of the same name
            for name, data in members:
                archive.writestr(name, data)
        file.seek(0)
        return file.read()


def damaged(r, valid):
    members = [(MANIFEST, valid.manifest), (TENSORS, valid.tensors)]
    kind = r.randrange(9)
    if kind == 0:
        return pack([*members, r.choice(members)])
    if kind == 1:
        return pack([*members, (r.choice(("../evil.py", "/tmp/evil", "evil.pkl", "a\nb", "x" * 1000)), b"evil")])
    if kind == 2:
        return pack(members, zipfile.ZIP_DEFLATED)
    if kind == 3:
        deep = r.choice((100, 900, 5000, 10**5))
        manifest = json.loads(valid.manifest)
        manifest["state"] = "HOLE"
        filled = json.dumps(manifest).replace(
            '"HOLE"', r.choice(("[" * deep + "]" * deep, '{"a":' * deep + "0" + "}" * deep))
        )
        return pack([(MANIFEST, filled), members[1]])
    if kind == 4:
        many = ",".join(["[]"] * r.choice((10**5, 10**6, 2 * 10**7)))
        return pack([(MANIFEST, valid.manifest[:-1] + b', "evil": [' + many.encode() + b"]}"), members[1]])
    if kind == 5:
        listed = r.choice((2**63, 2**40, 10, len(valid.tensors)))
        return pack([members[0], (TENSORS, listed.to_bytes(8, "little") + valid.tensors[8:])])
    data = bytearray(pack(members))
    if kind == 6:
        return bytes(data[: r.randrange(len(data))])
    for _ in range(r.choice((1, 3, 30))):
        data[r.randrange(len(data))] = r.randrange(256)
    return bytes(data)


def hostile(r, valid):
    """The bytes of a hostile file, and what was done."""
    if r.random() < 0.15:
        return damaged(r, valid), "zip"
    tree, arrays = valid.tree()
    chosen = r.sample(MUTATIONS, r.choice((1, 1, 1, 2)))
    for mutation in chosen:
        if not isinstance(tree.get("header"), dict) or not isinstance(tree["header"].get("config"), dict):
            break
        if not isinstance(tree["header"].get("env_kwargs"), dict) or not isinstance(tree["state"], dict | list):
            break
        if arrays or mutation not in (markers, tensors):
            mutation(r, tree, arrays)
    try:
        manifest = json.dumps(tree)
    except RecursionError:
        return damaged(r, valid), "zip"
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    return pack([(MANIFEST, manifest), (TENSORS, save_safetensors(arrays))]), "+".join(m.__name__ for m in chosen)


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


def load_contract():
    """Import `test_contract.py`, which makes agents by their examples."""
    spec = spec_from_file_location("contract", Path(__file__).with_name("test_contract.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def valid_files(folder):
    """A valid file of every agent, of one with a carrier, and of one with a model of its own where it can be made."""
    contract, found = load_contract(), []

    def keep(name, agent):
        path = folder / f"{name}.zip"
        agent.save(path)
        found.append(Valid(name, path))

    for name in agents.specs():
        if contract.is_dataset(name):
            continue
        agent, budget = contract.make_example(name), contract.example(name).timesteps
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
    return [Valid("GRPO-pretrained", folder / "pretrained.zip")] * 4  # the more files of it


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
            path.write_bytes(pack([(MANIFEST, one.manifest), (TENSORS, one.tensors)]))
            for _ in range(2):
                events, sentence, *_ = load(path)
                if sentence is not None:
                    report["wrong"].append((one.name, "valid", sentence))
            usual |= events
        for number in range(count):
            r = random.Random(f"{seed}/{number}")
            one = valid[number % len(valid)]
            data, what = hostile(r, one)
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
