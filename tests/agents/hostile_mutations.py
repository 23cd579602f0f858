"""Mutations of valid agent files into hostile ones; `hostile.py` loads the results."""

import json
import tempfile
import warnings
import zipfile

import numpy as np
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from envzoo import agents
from envzoo.agents import guard
from envzoo.agents.checkpoint import MANIFEST, TENSORS
from envzoo.errors import EnvzooError

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
