"""Minigrid's codes of the content of a cell, (type, colour, state), and the kinds of rooms."""

from __future__ import annotations

# Types. Keys (5) and lava (9) do not occur here; the switch is an addition to Minigrid's list.
UNSEEN, EMPTY, WALL, FLOOR, DOOR = 0, 1, 2, 3, 4
BALL, BOX, GOAL, AGENT, SWITCH = 6, 7, 8, 10, 11
# Colours.
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)
COLOURS = 6
# States of a door.
OPEN, CLOSED, LOCKED = range(3)
# Headings.
EAST, SOUTH, WEST, NORTH = range(4)
# Actions, with Minigrid's numbers.
TURN_LEFT, TURN_RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)
# Kinds of rooms.
DARK, FLICKERING, BALLS, TELEVISION = range(4)
