"""The features of the labeled samples, on which a simulation trains and clusters."""

from raycal.algorithm.records import Floats, Indices
from raycal.annotate.advice.labels_so_far import scaled
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.component import ModelConfig
from raycal.data import LoadedDataset
from raycal.experiment import build


def feature_words(config: ExperimentConfig) -> str:
    """What the features are, and how they differ from those of the project."""
    if config.features is not None:
        return f"the simulation uses the features of {config.features.name}, as this project does for its clusters"
    if config.model.trains_head_alone:
        return f"the simulation uses the frozen features of {config.model.name}, as this project does"
    untrained = config.model.weights == "none"
    return (
        f"the simulation trains a last layer on {'untrained' if untrained else 'frozen'} features of "
        f"{config.model.name}; this project trains the whole network, so its features become better with each round"
    )


def features_of(config: ExperimentConfig, samples: LoadedDataset, rows: Indices, settings: WorkerSettings) -> Floats:
    """Compute the features (n, D) of the samples with the weights that the project starts from.

    The weights that a round has trained are not used, because that training saw the labels with which the simulation
    measures how alike the samples of a cluster are.
    """
    extractor = build.learner(_frozen(config), samples, settings).extractor
    vectors = extractor.embeddings(rows)
    return vectors if config.model.trains_head_alone and config.features is None else scaled(vectors)


def _frozen(config: ExperimentConfig) -> ExperimentConfig:
    """The experiment with the network whose features are used as its model."""
    features = config.features
    if features is None:
        return config
    options = {**features.options, "name": features.name, "weights": features.weights, "frozen": True}
    training = config.training
    if features.image_size is not None:
        training = training.model_copy(update={"image_size": features.image_size})
    return config.model_copy(update={"model": ModelConfig(**options), "training": training, "features": None})
