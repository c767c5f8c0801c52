"""What careless protocols report of the published models, beside a careful one; and what a task-blind score can reach.

The models are those that are served, Logistic Regression and Random Forest on pairs of embeddings, task-blind. They are
evaluated on photos apart; and, fitted by the same functions on pairs that were dealt out at random, so that photos
stand on both sides, on the rest of these pairs and on the very pairs that they were fitted on.

Legend: m pairs.
"""

from collections.abc import Mapping

import numpy as np

from cbir.features import Features
from cbir.labels import BLIND, LABELS, TASKS
from cbir.report import Baselines, PairScores
from cbir.similarity import SIMILARITIES
from train.data.split import Pairs, sample_pairs
from train.evaluation.metrics import pair_metrics
from train.evaluation.scoring import score_pairs
from train.fit import FIT_PAIRS, FITTERS
from train.fit.pairs import PairTraining

TEST_SHARE = 0.2  # of the pairs that are dealt out at random
NOTE = (
    "'photos apart': the models that are served, fitted on pairs of train photos, evaluated on pairs of test photos. "
    "'pairs at random': fitted in the same way on about as many pairs of all photos, dealt out at random, so that most "
    "photos of the test pairs were seen in other pairs. 'pairs fitted on': evaluated on the very pairs they were "
    "fitted on. With photos apart .72 is not reached, since embeddings from ImageNet hardly tell color, and a model "
    "knows the color of a photo only where it has seen that photo in other pairs."
)


def evaluate_baselines(
    features: Features, labels: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray], pairs: Pairs, seed: int
) -> Baselines:
    """Evaluates the published models in three ways.

    Args:
        features: of all photos.
        labels: label columns of all photos.
        scores: (m,) of the pairs, by the served methods of `FITTERS`.
        pairs: of test photos, of both tasks.
        seed: samples and deals out the other pairs.
    """
    count = round(FIT_PAIRS / (1 - TEST_SHARE))
    everywhere = Pairs.concatenate([sample_pairs(labels[name], count, seed) for name in LABELS])
    is_held_out = np.random.default_rng(seed).random(len(everywhere)) < TEST_SHARE
    held_out, fit_on = (_take(everywhere, np.flatnonzero(rows)) for rows in (is_held_out, ~is_held_out))
    models = {}
    for name in scores:
        method = SIMILARITIES[name]
        model = FITTERS[name](PairTraining(features.embedding, {BLIND: fit_on}, seed))
        codes = method.encode(features, model)
        models[method.title] = {
            "photos apart": PairScores(**pair_metrics(scores[name], pairs.same)),
            **{
                way: PairScores(**pair_metrics(score_pairs(method, codes, model, TASKS[BLIND], some), some.same))
                for way, some in (("pairs at random", held_out), ("pairs fitted on", fit_on))
            },
        }
    n_evaluated = {"photos apart": len(pairs), "pairs at random": len(held_out), "pairs fitted on": len(fit_on)}
    return Baselines(NOTE, len(fit_on), n_evaluated, models)


def _take(pairs: Pairs, rows: np.ndarray) -> Pairs:
    return Pairs(pairs.left[rows], pairs.right[rows], pairs.same[rows])


def task_blind_ceiling(labels: Mapping[str, np.ndarray], pairs: Pairs) -> PairScores:
    """The figures of a perfect score that knows both labels of both photos, but not which one is asked for.

    Its score is the share of positive pairs among the pairs that agree in the same labels, which no other function of
    the labels beats in Pearson's correlation.

    Args:
        labels: label columns of the photos; where one is unknown, it agrees with nothing.
        pairs: of both tasks, pooled.
    """
    agree = [(labels[n][pairs.left] == labels[n][pairs.right]) & (labels[n][pairs.left] != "") for n in LABELS]
    cell = np.stack(agree, axis=1) @ (2 ** np.arange(len(LABELS)))
    scores = np.array([pairs.same[cell == k].mean() if (cell == k).any() else 0.0 for k in range(2 ** len(LABELS))])
    return PairScores(**pair_metrics(scores[cell], pairs.same))
