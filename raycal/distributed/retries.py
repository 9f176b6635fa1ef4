"""How often the parts of a sweep on Ray are tried again after a process or a node died.

A limit counts repeats, so the number of tries is one more than the limit. Each limit belongs to one kind of death.
When the limit of an inner level is used up, the next level takes over: workers are restarted within their group, a
group within its trial, and a trial within the sweep. A repeat loses at most one iteration, because a trial continues
from its run folder.

The actors that serve all trials of a sweep (clusterings and live pools) are restarted by Ray without a limit. These
actors hold no results, and no caller repeats a call without a limit.
"""

# Limits the deaths of workers during one experiment. An experiment that kills its workers again and again fails with
# the reason of the last death; the group then takes the next experiment.
WORKER_RETRIES = 3
# Limits the deaths of workers over all experiments of one group. This limit is larger than `WORKER_RETRIES`, so that
# several experiments can fail before Ray Train gives up the group. Then Tune starts the trial of the group again.
GROUP_RETRIES = 10
# Limits the deaths of a trial's own process or node.
TRIAL_RETRIES = 3
# Limits the calls of one clustering in which the clustering actor died or hung. A clustering that needs more memory
# than its node has kills the actor at every try.
CLUSTERING_RETRIES = 2
