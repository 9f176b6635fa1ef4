"""Batches of a dataset's texts as token ids, padded to the longest text of each batch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raycal.algorithm.records import Indices
from raycal.learner.device import DeviceSettings
from raycal.learner.inputs import Augment, DeviceInputs
from raycal.learner.tokens import Tokens

# The largest number of tokens in one scoring batch, including padding, to bound the memory of the layers' outputs.
SCORING_TOKENS = {"cpu": 2**12, "cuda": 2**17}
# The number of samples for which the last layer computes logits from embeddings at a time.
_HEAD_ELEMENTS = 2**10


class DeviceTexts(DeviceInputs):
    """The token ids of a dataset's texts. They stay on the host, because a batch of them is small.

    Args:
        tokens: The token ids.
    """

    has_one_shape = False

    def __init__(self, tokens: Tokens, device_settings: DeviceSettings) -> None:
        self._tokens, self._device_settings = tokens, device_settings
        self.resident = False

    @property
    def elements(self) -> int:
        """A number with which the last layer gets batches of about a thousand embeddings. The size of a batch of texts
        depends on the lengths of the texts instead.
        """
        return _HEAD_ELEMENTS

    def example(self, number: int) -> Tensor:
        """A batch of texts of one token each."""
        return torch.ones(number, 2, 1, dtype=torch.int64, device=self._device_settings.device)

    def scoring_order(self, rows: Indices) -> Indices:
        """Positions of the rows, ordered by the lengths of their texts, so that batches need little padding."""
        order: Indices = np.argsort(self._tokens.lengths(rows), kind="stable")
        return order

    def scoring_parts(self, rows: Indices, size: int) -> list[slice]:
        """Slices of rows. Each has as many rows as fit into the tokens of a scoring batch, and at most `size` rows."""
        most = SCORING_TOKENS[self._device_settings.device.type]
        parts: list[slice] = []
        begin, longest = 0, 1
        for place, length in enumerate(self._tokens.lengths(rows).tolist()):
            longest = max(longest, length)
            if place > begin and ((place + 1 - begin) * longest > most or place - begin == size):
                parts.append(slice(begin, place))
                begin, longest = place, max(1, length)
        return [*parts, slice(begin, len(rows))] if len(rows) else []

    def batches(
        self, rows: npt.NDArray[np.int64], parts: Sequence[slice], augment: Augment | None = None
    ) -> Iterator[Tensor]:
        """Token ids and mask (B, 2, L), int64, for each part of the rows. A thread pads the next batch meanwhile.

        Args:
            rows: (n,) int64, rows of the dataset.
            parts: The slice of `rows` that makes up each batch.
            augment: Must be None, because only images can be changed in this way.
        """
        if augment is not None:
            raise ValueError("texts cannot be augmented")

        def read(part: slice) -> Tensor:
            batch = torch.from_numpy(self._tokens.padded(rows[part]))
            if self._device_settings.device.type == "cuda":
                batch = batch.pin_memory()  # otherwise the copy waits for the device
            return batch.to(self._device_settings.device, non_blocking=True)

        with ThreadPoolExecutor(1) as reader:
            coming = [reader.submit(read, part) for part in parts[:1]]
            for number in range(len(parts)):
                batch = coming.pop().result()
                coming += [reader.submit(read, part) for part in parts[number + 1 : number + 2]]
                yield batch

    def _prepared(self, batch: Tensor, augment: Callable[[Tensor], Tensor] | None) -> Tensor:
        return batch
