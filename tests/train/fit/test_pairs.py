import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cbir.labels import LABELS
from cbir.similarity import SIMILARITIES
from cbir.similarity.pairs import pair_features
from train.data.split import sample_pairs
from train.fit.attributes import fit_attributes
from train.fit.pairs import C, PairTraining, fit_logistic_regression


def test_the_inner_product_is_the_logistic_regression_on_pair_features(toy_bundle):
    """The folded weights give what scikit-learn gives on the pair features themselves."""
    method, gallery, photos = SIMILARITIES["logistic_regression"], toy_bundle.gallery, toy_bundle.gallery.features
    train = gallery.splits == "train"
    labels = {name: gallery.labels[name][train] for name in LABELS}
    pairs = sample_pairs(labels["type"], 4_000, 0)
    attributes = fit_attributes(photos.take(train), labels, 0, np.zeros(train.sum(), bool))
    training = PairTraining(photos.take(train), attributes.model, attributes.unseen, {"type": pairs}, 0)
    model = fit_logistic_regression(training)
    codes, n_types = attributes.unseen.astype(np.float64), len(attributes.model.classes("type"))

    def inputs(left, right):
        agreement = [
            np.clip((left[:, part] * right[:, part]).sum(axis=1), 1e-4, 1 - 1e-4)
            for part in (slice(0, n_types), slice(n_types, None))
        ]
        odds = [probability / (1 - probability) for probability in agreement]
        return np.column_stack([pair_features(left, right), *np.log(odds)])

    x = inputs(codes[pairs.left], codes[pairs.right])
    scaler = StandardScaler().fit(x)
    reference = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(x), pairs.same)
    test = method.encode(photos.take(~train), model)
    left, right = (part.ravel() for part in np.indices((len(test), len(test))))
    expected = reference.predict_proba(scaler.transform(inputs(test[left], test[right])))[:, 1]
    np.testing.assert_allclose(method.compare(test, test, model, "type").ravel(), expected, atol=1e-3)
