"""The pattern of the active nodes: an image that switches on nodes, or combinations of them, that others do not.

The paper's second idea: not the learned features themselves but *which nodes an image activates*. Four rules say how
unusual a pattern is; each is a file of its own in ``oddlens.scoring.patterns``:

    hamming     distance to the k-th nearest other pattern of bits
    likelihood  how improbable the bits are under the collection's statistics of its nodes
    scan        the subset of nodes whose values are jointly most unusual (subset scanning)
    pathway     how far the activations are from those of the image's own reconstruction (RaPP)

Whatever the rule, it can say which nodes made an image strange, how rare each state is, and which ordinary images
show what such a node stands for.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from oddlens.errors import OptionError, SavedModelError
from oddlens.options import require_numbers
from oddlens.progress import advance
from oddlens.protocols import Doubles, Encoded, Reason, State
from oddlens.scoring.activity import Layers, blocks, node_names, reference
from oddlens.scoring.patterns.hamming import Hamming
from oddlens.scoring.patterns.likelihood import Likelihood
from oddlens.scoring.patterns.pathway import Pathway
from oddlens.scoring.patterns.scan import Scan
from oddlens.statement import percent

RULES = ("hamming", "likelihood", "pathway", "scan")
MOST_REASONS = 3  # nodes kept for each image
MOST_EXAMPLES = 4  # images kept for each node

WORDS = {
    "hamming": "node {node} is {state}, as in {share} of the images",
    "likelihood": "node {node} is {state}, as in {share} of the images",
    "scan": "node {node} is unusually {level}, as far out as in {share} of the images",
    "pathway": "node {node} answers {level}er to the image than to its reconstruction, as far apart as in {share}",
}


class Activations(BaseEstimator):
    """Scores an image by how unusual the pattern of nodes is that it switches on.

    rule:          "hamming", "likelihood", "scan" or "pathway"; see above.
    active:        when a node counts as on, for hamming and likelihood: "auto", a sigmoid node above one half and a
                   ReLU or linear node above zero; or a share between 0 and 1, above that quantile of its own.
    k:             for hamming: which nearest other pattern; by default 50, and a twentieth of the images where fewer.
    components:    for likelihood: 1 for independent nodes, more for a mixture, so that nodes that are on together
                   count.
    statistic:     for scan: "berk_jones" or "higher_criticism".
    whiten:        for pathway: True for NAP, False for SAP.
    random_state:  fixes where the mixture begins.

    A fitted image is judged without itself: its own pattern is left out, its share is taken out of the statistics,
    it is not in its own reference. Patterns equal to its own do count as other images': a pattern is only
    unusual if few have it.

    Fitted: ``nodes_``, the nodes' names.

    >>> on = np.zeros((30, 6), np.float32); on[:, :3] = 1; on[7] = [0, 0, 0, 1, 1, 1]
    >>> encoded = Encoded(activations={"hidden": on}, node_types={"hidden": "sigmoid"})
    >>> detector = Activations(k=1).fit(encoded)
    >>> int(detector.score_own().argmax()), detector.explain_own(7)[0].text
    (7, 'node hidden 0 is off, as in 3.3 % of the images')
    """

    judges = "by the nodes that are switched on"
    seeks = "images that switch on a pattern of nodes that few or no others do"

    def __init__(
        self,
        rule: str = "hamming",
        active: str | float = "auto",
        k: int | None = None,
        components: int = 1,
        statistic: str = "berk_jones",
        whiten: bool = True,
        random_state: int = 0,
    ) -> None:
        self.rule = rule
        self.active = active
        self.k = k
        self.components = components
        self.statistic = statistic
        self.whiten = whiten
        self.random_state = random_state

    @property
    def needs(self) -> frozenset[str]:
        """The pathway rule reads the pathway, the others the activations."""
        return frozenset({"pathway" if self.rule == "pathway" else "activations"})

    def fit(self, encoded: Encoded) -> Self:
        """Learn what patterns are usual, score the fitted images, and keep what made each of them strange."""
        require_numbers(self)
        layers = self._layers(encoded)
        if len(encoded) < 2:
            raise OptionError(f"Activations needs 2 images or more, got {len(encoded)}.")
        self.rule_ = self._make_rule()
        self.nodes_ = node_names(layers)
        self.layers_ = {name: layer.shape[1] for name, layer in layers.items()}
        self.own_ = self.rule_.fit(layers, encoded.node_types)
        self._keep_reasons(layers)
        return self

    def score_own(self) -> Doubles:
        """(n,) the fitted images' scores, each judged without itself."""
        check_is_fitted(self, "own_")
        return self.own_.copy()

    def score_new(self, encoded: Encoded) -> Doubles:
        """(m,) other images' scores."""
        check_is_fitted(self, "own_")
        layers = self._layers(encoded)
        if {name: layer.shape[1] for name, layer in layers.items()} != self.layers_:
            raise OptionError(f"Activations was fitted to layers {self.layers_}, got other ones.")
        return self.rule_.score(layers)

    def explain_own(self, index: int) -> list[Reason]:
        """What made a fitted image strange: the most telling nodes, and ordinary images that show them."""
        check_is_fitted(self, "own_")
        reasons = []
        for node, share, high in zip(self.which_[index], self.shares_[index], self.high_[index], strict=True):
            if node < 0:
                continue
            text = WORDS[self.rule].format(node=self.nodes_[node], share=percent(float(share)),
                                           state="on" if high else "off", level="high" if high else "low")
            reasons.append(Reason(text, tuple(int(i) for i in self.examples_[node] if i != index)))
        return reasons

    def get_state(self) -> State:
        """The rule's state, the scores and the reasons."""
        check_is_fitted(self, "own_")
        names = "\n".join(f"{width} {name}" for name, width in self.layers_.items()).encode()
        rule = {f"rule.{key}": value for key, value in self.rule_.get_state().items()}
        return {**rule, "own": self.own_, "layers": np.frombuffer(names, np.uint8), "which": self.which_,
                "shares": self.shares_, "high": self.high_, "examples": self.examples_}

    def set_state(self, state: State) -> Self:
        """Take back what ``get_state`` gave."""
        try:
            self.rule_ = self._make_rule().set_state(
                {key.removeprefix("rule."): value for key, value in state.items() if key.startswith("rule.")})
            lines = [line.split(" ", 1) for line in bytes(state["layers"]).decode().split("\n")]
            layers = {name: int(width) for width, name in lines}
            own, which, shares, high, examples = (
                state[key] for key in ("own", "which", "shares", "high", "examples"))
        except (KeyError, ValueError, TypeError, OptionError) as error:
            raise SavedModelError(f"The saved activations do not fit their options: {error!r}") from error
        nodes, n = sum(layers.values()), len(own)
        if (own.dtype.str, own.ndim) != ("<f8", 1) or not n or not np.isfinite(own).all():
            raise SavedModelError("The saved activations hold no list of scores.")
        if not 0 < nodes == self._width() or min(layers.values()) < 1:
            raise SavedModelError(f"The saved activations name {nodes} nodes; the rule has {self._width()}.")
        shapes = [which.shape, shares.shape, high.shape, examples.shape]
        types = [which.dtype.str, shares.dtype.str, high.dtype.str, examples.dtype.str]
        if shapes != [(n, MOST_REASONS)] * 3 + [(nodes, MOST_EXAMPLES)] or types != ["<i4", "<f4", "|b1", "<i8"]:
            raise SavedModelError(f"The saved reasons have shapes {shapes}.")
        if which.min() < -1 or which.max() >= nodes or examples.min() < 0 or examples.max() >= n:
            raise SavedModelError("The saved reasons name nodes or images that are not there.")
        self.layers_, self.own_ = layers, own
        self.nodes_ = [f"{name} {unit}" for name, width in layers.items() for unit in range(width)]
        self.which_, self.shares_, self.high_, self.examples_ = which, shares, high, examples
        return self

    def _make_rule(self) -> Hamming | Likelihood | Scan | Pathway:
        if self.rule == "hamming":
            return Hamming(self.k, self.active)
        if self.rule == "likelihood":
            return Likelihood(self.components, self.active, self.random_state)
        if self.rule == "scan":
            return Scan(self.statistic)
        if self.rule == "pathway":
            return Pathway(self.whiten)
        raise OptionError.unknown("rule of activations", self.rule, RULES)

    def _width(self) -> int:
        rule = self.rule_
        return len(rule.cuts_) if isinstance(rule, Hamming | Likelihood) else len(rule.sorted_)

    def _layers(self, encoded: Encoded) -> Layers:
        if self.rule not in RULES:
            raise OptionError.unknown("rule of activations", self.rule, RULES)
        layers = encoded.pathway if self.rule == "pathway" else encoded.activations
        if not layers:
            raise OptionError(f"The rule {self.rule} needs an encoder that gives {next(iter(self.needs))}; got none.")
        return layers

    def _keep_reasons(self, layers: Layers) -> None:
        """For each image its most telling nodes, and for each node the ordinary images that it is highest in."""
        n, nodes = len(self.own_), len(self.nodes_)
        inside = np.zeros(n, np.bool_)
        inside[reference(layers)[0]] = True
        kept = min(MOST_REASONS, nodes)
        self.which_ = np.full((n, MOST_REASONS), -1, np.int32)
        self.shares_, self.high_ = np.zeros((n, MOST_REASONS), np.float32), np.zeros((n, MOST_REASONS), np.bool_)
        ordinary = self.own_ <= np.median(self.own_)
        highest = np.full((nodes, MOST_EXAMPLES), -np.inf, np.float32)
        self.examples_ = np.zeros((nodes, MOST_EXAMPLES), np.int64)
        for rows, block in blocks(layers):
            evidence, shares, high = self.rule_.evidence(block, inside[rows])
            most = np.argsort(-evidence, axis=1, kind="stable")[:, :kept]
            self.which_[rows, :kept] = np.where(np.take_along_axis(evidence, most, 1) > 0, most, -1)
            self.shares_[rows, :kept] = np.take_along_axis(shares, most, 1)
            self.high_[rows, :kept] = np.take_along_axis(high, most, 1)
            _merge(highest, self.examples_, block[ordinary[rows]], np.flatnonzero(ordinary[rows]) + rows.start)
            advance("reasons", rows.stop, n)



def _merge(
    highest: NDArray[np.float32], whose: NDArray[np.int64], block: NDArray[np.float32], rows: NDArray[np.intp]
) -> None:
    """Put a block's rows among the highest so far of each node, in place."""
    if not len(rows):
        return
    values = np.concatenate([highest, block.T], 1)
    owners = np.concatenate([whose, np.broadcast_to(rows, (len(whose), len(rows)))], 1)
    best = np.argsort(-values, axis=1, kind="stable")[:, : highest.shape[1]]
    highest[:], whose[:] = np.take_along_axis(values, best, 1), np.take_along_axis(owners, best, 1)
