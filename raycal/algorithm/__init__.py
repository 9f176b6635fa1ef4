"""Algorithm 1 of Perez, Lebret, Aberer (arXiv 1812.11780), in numpy: no torch, no Ray, no files.

| line  | paper                                        | here                                                   |
|-------|----------------------------------------------|--------------------------------------------------------|
| 1     | D^U <- training set                          | `pool.Pool.of`                                         |
| 2     | repeat T times                               | `loop.active_learning`                                 |
| 3     | initialize model                             | `learner.Learner.reset`                                |
| 4-14  | annotate as the scenario says                | `scenario.Scenario.budgets`, `loop.IterationRun.annotate` |
| 15    | train model on D^L and D^CL                  | `learner.Learner.fit`, `pool.Pool.training_set`        |
| 16    | evaluate                                     | `learner.Learner.evaluate`                             |
| 17    | move all of D^CL back to D^U                 | `pool.Pool.release`; not with `keep_cluster_labels`    |
| 18    | ANNOTATEUNCERTAIN                            | `annotate.annotate_samples`                            |
| 19    | the n most informative of D^U                | `acquisition.uncertainty.entropy`, or another function |
| 20-21 | the expert labels each; D^U -> D^L           | `expert.Oracle.label_samples`, `pool.Pool.apply`       |
| 23    | ANNOTATECLUSTERS                             | `annotate.annotate_clusters`                           |
| 24    | cluster D^U into n                           | `clustering.kmeans`                                    |
| 25-27 | a consistent cluster is labeled; D^U -> D^CL | `expert.Oracle.label_cluster`, `pool.Pool.apply`       |

Letters in docstrings: P pool samples, U unlabeled now, M training set, K classes, D embedding width, C clusters.
N (interactions per iteration) and T (iterations) are the paper's letters.
"""
