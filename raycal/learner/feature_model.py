"""A separate feature model, whose embeddings of the pool decide which samples are alike, while another network is
trained."""

from collections.abc import Callable

from raycal.learner.feature_extractor import FeatureExtractor


class FeatureModel:
    """A network that is never trained. It is built on first use, and freed when the pool has been embedded.

    Args:
        make: Builds the network of this worker with its weights.
    """

    def __init__(self, make: Callable[[], FeatureExtractor]) -> None:
        self._make = make
        self._extractor: FeatureExtractor | None = None
        self._digest: tuple[str | None] | None = None

    @property
    def extractor(self) -> FeatureExtractor:
        """The network."""
        if self._extractor is None:
            self._extractor = self._make()
            self._digest = (self._extractor.weights_digest,)
        return self._extractor

    @property
    def weights_digest(self) -> str | None:
        """The digest of the weights of the network; None if the weights were drawn at random."""
        return self.extractor.weights_digest if self._digest is None else self._digest[0]

    def release(self) -> None:
        """Free the memory of the network."""
        self._extractor = None
