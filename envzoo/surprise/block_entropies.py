"""Exact entropies of BlockChain, in nats: of its states, of their emissions, and of the observations."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from envzoo.errors import EnvzooError

# Largest number of observations that are enumerated.
LARGEST = 20_000_000


class BlockEntropies:
    """Entropies and occupancies of `BlockChain`, which provides the attributes below.

    A state, as identified by an observation, is a room and whether its noise is active: distributions over states are
    arrays (rooms, 2) whose column 1 is active noise. Noise can be active only in noisy rooms.

    Attributes:
        rooms: Number of rooms.
        tiles: Number of tiles.
        colours: Number of colours of a tile.
        noisy: bool (rooms,).
        goal: Whether the last room ends the episode.
    """

    rooms: int
    tiles: int
    colours: int
    noisy: np.ndarray
    goal: bool

    def state_entropy(self, distribution: np.ndarray) -> float:
        """Compute H(S) of a distribution over states (rooms, 2).

        Raises:
            EnvzooError: The array is not a distribution over the states of this chain.
        """
        return float(entr(self._checked(distribution)).sum())

    def emission_entropy(self, distribution: np.ndarray) -> float:
        """Compute H(O|S): tiles * log(colours) in active noise, 0 elsewhere, averaged over the states (rooms, 2).

        Raises:
            EnvzooError: The array is not a distribution over the states of this chain.
        """
        return float(self._checked(distribution)[:, 1].sum() * self.tiles * np.log(self.colours))

    def observation_entropy(self, distribution: np.ndarray) -> float:
        """Compute H(O) by enumeration of all rooms * (colours + 1)^tiles observations.

        Raises:
            EnvzooError: The array is not a distribution over the states of this chain, or there are too many
                observations to enumerate.
        """
        return float(entr(self.observation_distribution(distribution)).sum())

    def observation_distribution(self, distribution: np.ndarray) -> np.ndarray:
        """Compute P(O) of a distribution over states (rooms, 2): an array (rooms, colours + 1, ..., colours + 1).

        Raises:
            EnvzooError: As in `observation_entropy`.
        """
        distribution = self._checked(distribution)
        shape = (self.colours + 1,) * self.tiles
        if self.rooms * float(self.colours + 1) ** self.tiles > LARGEST:
            raise EnvzooError(
                f"{self.rooms} rooms with {self.tiles} tiles of {self.colours} colours have more observations than the "
                f"{LARGEST:,} that are enumerated; expected fewer tiles or colours"
            )
        emissions = np.zeros((2, *shape))
        emissions[0][(0,) * self.tiles] = 1.0
        emissions[1][(slice(1, None),) * self.tiles] = float(self.colours) ** -self.tiles
        return np.tensordot(distribution, emissions, axes=1)

    def occupancy(self, policy: np.ndarray, steps: int | None = None) -> np.ndarray:
        """Compute the exact probability of each state after each step of a policy that observes the state.

        Args:
            policy: Probabilities of the four actions, (rooms, 2, 4) for a stationary policy, which requires `steps`, or
                (steps, rooms, 2, 4).
            steps: Number of steps.

        Returns:
            float64 (steps + 1, rooms, 2), the start first. The mean over the first axis is the state distribution of an
            episode, the input of the other methods.

        Raises:
            EnvzooError: The policy does not fit, the chain has a goal (episodes end there), or more than 16 rooms are
                noisy (the computation enumerates the sets of stopped rooms).
        """
        policy = self._policy(policy, steps)
        places = np.flatnonzero(self.noisy)
        if self.goal or places.size > 16:
            why = "a goal, where episodes end" if self.goal else f"{places.size} noisy rooms"
            raise EnvzooError(f"the chain has {why}; expected one without a goal and at most 16 noisy rooms")
        # Full state: the room, and a bit for each noisy room that was stopped.
        sets = np.arange(2**places.size)
        bit = np.zeros(self.rooms, np.int64)
        bit[places] = 2 ** np.arange(places.size)
        active = (self.noisy[:, None] & ((sets & bit[:, None]) == 0)).astype(np.int64)  # (rooms, sets)
        stopped = sets | bit[:, None]
        rooms = np.arange(self.rooms)[:, None]
        weight = np.zeros((self.rooms, sets.size))
        weight[0, 0] = 1.0
        result = np.empty((len(policy) + 1, self.rooms, 2))
        for t in range(len(result)):
            result[t] = np.stack([(weight * (active == k)).sum(axis=1) for k in (0, 1)], axis=1)
            if t == len(policy):
                break
            left, right, press, stay = np.moveaxis(policy[t][rooms, active] * weight[..., None], -1, 0)
            weight = stay.copy()
            weight[:-1] += left[1:]
            weight[0] += left[0]
            weight[1:] += right[:-1]
            weight[-1] += right[-1]
            np.add.at(weight, (np.broadcast_to(rooms, stopped.shape), stopped), press)
        return result

    def _policy(self, policy: np.ndarray, steps: int | None) -> np.ndarray:
        array = np.asarray(policy, np.float64)
        if array.ndim == 3 and steps is not None:
            array = np.broadcast_to(array, (steps, *array.shape))
        fits = array.ndim == 4 and array.shape[1:] == (self.rooms, 2, 4) and steps in (None, len(array))
        if not fits or not (array >= 0).all() or not np.allclose(array.sum(axis=-1), 1.0):
            raise EnvzooError(
                f"the policy has shape {np.shape(policy)}; expected probabilities of shape ({self.rooms}, 2, 4) and "
                f"the number of steps, or ({'steps' if steps is None else steps}, {self.rooms}, 2, 4)"
            )
        return array

    def _checked(self, distribution: np.ndarray) -> np.ndarray:
        array = np.asarray(distribution, np.float64)
        if array.shape != (self.rooms, 2) or not (array >= 0).all() or not np.isclose(array.sum(), 1.0):
            raise EnvzooError(
                f"the distribution over states has shape {array.shape} and sum {array.sum():.6g}; expected "
                f"probabilities of shape ({self.rooms}, 2) that sum to 1"
            )
        if array[~self.noisy, 1].any():
            room = int(np.flatnonzero(~self.noisy & (array[:, 1] > 0))[0])
            raise EnvzooError(f"the distribution over states has active noise in room {room}, which is dark")
        return array
