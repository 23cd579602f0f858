"""Slow and simple verifiers in plain Python on strings, written apart from the fast ones; and small difficulties."""

import re

# Every case: the task's name, its arguments, and how to tell a right answer.
CASES = {
    "sum": ("TextSumTo", {}),
    "sum-small": ("TextSumTo", {"terms": 2, "low": 0, "high": 18}),
    "sum-rules": ("TextSumTo-v1", {}),
    "sum-rules-small": ("TextSumTo-v1", {"terms": 2, "fewest": 1}),
    "countdown": ("TextCountdown", {}),
    "countdown-four": ("TextCountdown", {"numbers": 4, "largest": 5, "high": 30}),
    "chain": ("TextChainArith", {}),
    "chain-mixed": ("TextChainArith", {"steps": (2, 5), "modulus": 100}),
    "chain-free": ("TextChainArith", {"steps": (1, 3), "scratchpad": "free"}),
    "sort": ("TextSort", {}),
    "parity": ("TextParity", {}),
    "parity-bare": ("TextParity", {"bits": 10, "scratchpad": False}),
    "maze": ("TextMaze", {}),
    "maze-large": ("TextMaze", {"size": 6, "moves": 20}),
    "spark": ("TextSpark", {}),
    "tool": ("TextToolPuzzle", {}),
    "tool-small": ("TextToolPuzzle", {"digits": 2, "symbols": 3, "turns": 3}),
}


def sum_to(task, prompt, answer):
    if not re.fullmatch(r"[0-9](\+[0-9])*", answer):
        return False
    digits = [int(d) for d in answer.split("+")]
    return len(digits) == task.parameters.terms and sum(digits) == int(prompt[1:-1])


def sum_to_rules(task, prompt, answer):
    if not re.fullmatch(r"[0-9](\+[0-9])*", answer):
        return False
    total, first, forbidden = re.fullmatch("=([0-9]{2}),([0-9])!([0-9]):", prompt).groups()
    digits = [int(d) for d in answer.split("+")]
    well = len(digits) == task.parameters.terms and sum(digits) == int(total)
    return well and answer.startswith(first) and forbidden not in answer


def left_to_right(text):
    value = 0
    for sign, digit in re.findall(r"([+*-])([0-9])", "+" + text):
        value = {"+": value + int(digit), "-": value - int(digit), "*": value * int(digit)}[sign]
    return value


def countdown(task, prompt, answer):
    numbers, target = prompt[:-1].split("=")
    if not re.fullmatch(r"[0-9]([+*-][0-9])*", answer):
        return False
    return sorted(re.findall("[0-9]", answer)) == sorted(numbers.split(",")) and left_to_right(answer) == int(target)


def chain_arith(task, prompt, answer):
    modulus = task.parameters.modulus
    ends = range(3, len(prompt), 2)
    values = [left_to_right(prompt[:k]) % modulus for k in ends]
    if not re.fullmatch("[0-9]+(,[0-9]+)*", answer):
        return False
    given = [int(value) for value in answer.split(",")]
    if max(given) >= modulus:
        return False
    return given[-1] == values[-1] if task.parameters.free else given == values


def sort(task, prompt, answer):
    return answer == "".join(sorted(prompt[:-1]))


def parity(task, prompt, answer):
    running = [str(prompt[: k + 1].count("1") % 2) for k in range(len(prompt) - 1)]
    return answer == ("".join(running) if task.scratchpad else running[-1])


def maze(task, prompt, answer):
    size = task.parameters.size
    grid = {(k // size, k % size): sign for k, sign in enumerate(prompt[:-1])}
    place = next(cell for cell, sign in grid.items() if sign == "S")
    for move in answer:
        if move not in "UDLR":
            return False
        row, column = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}[move]
        place = place[0] + row, place[1] + column
        if grid.get(place, "#") == "#":
            return False
    return grid[place] == "G"


def spark(task, prompt, answer):
    digits = prompt[:-1]
    return answer == "B" + digits[::-1] or (answer == "A" + digits and sum(map(int, digits)) % 2 == 0)


def tool_puzzle(task, prompt, answer):
    p = task.parameters
    code = "".join(map(str, task.codes(task.prompt_ids([prompt]))[0]))
    turns = re.split(r"\$(..:)", answer)
    guesses, replies = turns[::2], turns[1::2]
    for turn, guess in enumerate(guesses):
        if guess == "?" + code:
            return turn < p.turns
        if turn == len(guesses) - 1:
            return False
        well = re.fullmatch(rf"\?[0-9]{{{p.digits}}}", guess) and len(set(guess)) == len(guess)
        reply = "--:"
        if well and int(max(guess[1:])) < p.symbols:
            bulls = sum(a == b for a, b in zip(guess[1:], code, strict=True))
            reply = f"{bulls}{len(set(guess[1:]) & set(code)) - bulls}:"
        if replies[turn] != reply:
            return False
    return False


VERIFIERS = {
    "TextSumTo": sum_to,
    "TextSumTo-v1": sum_to_rules,
    "TextCountdown": countdown,
    "TextChainArith": chain_arith,
    "TextSort": sort,
    "TextParity": parity,
    "TextMaze": maze,
    "TextSpark": spark,
    "TextToolPuzzle": tool_puzzle,
}
