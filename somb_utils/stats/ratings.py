"""Elo ratings and improvability of models over tasks, by the package ``bencheval`` of TabArena."""

import pandas as pd
from threadpoolctl import threadpool_limits


def ratings(scores: pd.DataFrame) -> pd.DataFrame:
    """Rate models by Elo and improvability (Erickson et al. 2025).

    Parameters
    ----------
    scores
        Tasks × models, without gaps, as in :attr:`Ranking.scores`; a higher score is better and 1 is perfect.

    Returns
    -------
    DataFrame
        Indexed by model, best first: ``elo``, 400 points of which are odds of ten to one to score higher on a task;
        ``improvability``, the share of the model's error (1 - score) that the best model of a task avoids, as a mean
        over tasks; and their 95 % intervals, ``elo_low``, ``elo_high``, ``improvability_low`` and
        ``improvability_high``, by a bootstrap over tasks.

    Notes
    -----
    The intervals say how much depends on the choice of tasks, which they take as independent. The uncertainty of each
    task's scores is in the intervals of :func:`ranking` and of :meth:`somb_utils.RunResult.composite`.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"rf": [0.8, 0.9], "mlp": [0.6, 0.8]}, index=["D1", "C2"])
    >>> ratings(scores)["improvability"].round(2).to_dict()
    {'rf': 0.0, 'mlp': 0.5}
    """
    from bencheval.evaluator import BenchmarkEvaluator

    errors = (1 - scores).rename_axis("task").reset_index().melt("task", var_name="model", value_name="error")
    evaluator = BenchmarkEvaluator("model", "task", "error", columns_to_agg_extra=None)
    with threadpool_limits(1):  # several threads take ten times as long for so few models
        table = evaluator.leaderboard(errors, metrics=["elo", "improvability"])
    columns = {}
    for name in ("elo", "improvability"):
        columns[name] = table[name]
        columns[f"{name}_low"], columns[f"{name}_high"] = (
            table[name] - table[f"{name}-"],
            table[name] + table[f"{name}+"],
        )
    return pd.DataFrame(columns)
