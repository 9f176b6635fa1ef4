"""How many questions of a project of people check labels. They change no experiment, and may change at every start."""

from typing import Annotated

from annotated_types import Ge, Le

from raycal.config.strict import Strict

Rate = Annotated[float, Ge(0), Le(1)]


class ChecksConfig(Strict):
    """How many questions check the labels of a project that people label. Zero turns a kind of check off.

    Attributes:
        repeats: The share of the single samples that the same person is asked again.
        shared: The share of the single samples that a second person is asked.
        audits: The number of samples with the label of a cluster that are asked alone, per question of the project.
        look_again: The largest number of single samples that people look at again because another label or a model
            speaks against their label, per question of the project. While there is nothing else to do, more are asked.
        share: The largest share of checks among the questions of a person while there are other questions. When there
            are none, checks are asked without this limit.
        gold: The number of known samples that a newcomer is asked first, if other people have labeled enough.
    """

    repeats: Rate = 0.05
    shared: Rate = 0.1
    audits: Rate = 0.05
    look_again: Rate = 0.05
    share: Annotated[float, Ge(0), Le(0.5)] = 0.1
    gold: Annotated[int, Ge(0), Le(100)] = 10
