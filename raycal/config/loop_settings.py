"""The part of an experiment's configuration that Algorithm 1 itself reads."""

from raycal.algorithm.cluster_queue import ClusterRules
from raycal.algorithm.loop import LoopSettings
from raycal.config.experiment import ExperimentConfig


def loop_settings(config: ExperimentConfig) -> LoopSettings:
    """The settings of Algorithm 1."""
    return LoopSettings(
        scenario=config.resolved_scenario,
        iterations=config.iterations,
        interactions_per_iteration=config.interactions_per_iteration,
        seed=config.seed,
        num_clusters=config.clustering.num_clusters,
        clusters=ClusterRules(
            core=config.clustering.core,
            order=config.clustering.order,
            on_refusal=config.clustering.on_refusal,
            purity_threshold=config.purity_threshold or 0.0,
        ),
        ask_with=config.ask_with,
        retrain_between=config.retrain_between,
        cluster_weight=config.training.cluster_weight,
        keep_cluster_labels=config.keep_cluster_labels,
    )
