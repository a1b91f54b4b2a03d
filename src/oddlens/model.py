"""The whole way from images to scores: read, learn, encode, score, rank.

``AnomalyModel`` puts views of the images together, each an encoder and a detector. An encoder that several views
share learns once and encodes the collection once, and every view's score is a column of the ranking.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from oddlens import passing, registry, views
from oddlens.arrays import put_at
from oddlens.calibration import Fusion, fit_tail, fuse
from oddlens.decisions import NULL_FREEDOM, Decision, decide
from oddlens.drift import Drift, drift
from oddlens.ensemble import Ensemble, Scored, timed
from oddlens.errors import OptionError
from oddlens.feedback import Evidence, learn
from oddlens.labelled_decisions import decide_labelled
from oddlens.labels import by_row, merged
from oddlens.methods import made, name_of
from oddlens.passing import Columns, Work, working
from oddlens.pixels import (
    Collection,
    Copies,
    PixelFormat,
    look,
    nothing_of,
    read_pixels,
    require_enough,
    sees_detail,
    sees_texture,
)
from oddlens.protocols import Detector, Doubles, Encoder, HasOptions, HeavyTailed, ImageSource, Pixels
from oddlens.ranking import Ranking
from oddlens.scoring.agreement import answer_weights, decide_fused
from oddlens.scoring.exact_copies import Known
from oddlens.sources import open_source
from oddlens.stream import Stream
from oddlens.thumbnails import joined, thumbnails_in
from oddlens.views import View

if TYPE_CHECKING:
    from oddlens.learning.pretrained import Given

FARTHEST = 30.0  # a surprisal beyond this teaches no more than this: one image must not set the unit of all


class AnomalyModel(OutlierMixin, BaseEstimator):
    """Learns what the images of a collection look like and scores how strange each one is.

    encoder:        the name of an encoder (``oddlens list`` shows them), an encoder object, or one of your own: a
                    callable of a batch, a ``torch.nn.Module``, a scikit-learn transformer (``adapters.own_encoders``).
    detector:       the name of a detector, a detector object, or an outlier detector of scikit-learn or PyOD
                    (``adapters.outlier_detectors``); or a list of several.
    views:          pairs of an encoder and a detector, each as text ("dictionary+neighbors"), as a pair or as a
                    ``views.View``, in place of ``encoder`` and ``detector``. Views that lead equally count equally.
    backbone:       a pretrained network, for the default and the other efforts: their views and two of its features,
                    place by place and as a whole; what ``encoders.backbone.Backbone`` takes as ``network``.
    effort:         where none of these is given: "fast", the best single view; "default", several views that fail
                    differently; "thorough", the same with three dictionaries, three times slower and
                    less dependent on the seed; see ``views.py`` for what they are and how they are put together.
    image_size:     the size that all images are resized to, one number for a square or (height, width), in
                    pixels; by default taken from the images, at most 64.
    channels:       1 for grey, 3 for colour; by default taken from the images.
    detail:         the longer side, in pixels, of a second, larger copy of the images for views that look at fine
                    detail; by default there is one where the images' longer side is above 96: of 128, and of up
                    to 1,000 images of as many as they have, but 256 at most; 0: none, and the texture of larger
                    images is not measured either.
    resize:         "squash", "pad" or "crop": how images of other shapes are resized.
    fdr:            the false-discovery rate: the expected share of ordinary images among the flagged, at most; above 0
                    and below 0.5.
    contamination:  if it is known: the share of the fitted images to flag, above 0 and at most 0.5, in place of
                    ``fdr``.
    device:         where networks are trained and features computed: "auto" (a GPU if there is one), "cpu", "cuda",
                    "mps"; for encoders given by name.
    n_jobs:         threads for reading and scoring; by default one for each core.
    random_state:   the seed; for encoders and detectors given by name.

    A new image is judged alone, by what was fixed when the model was fitted: its scores, its p-value and whether it is
    flagged do not depend, to the last digit, on what comes with it. (Networks on a GPU may change the last digits.) An
    image with the same pixels as a fitted one, at the size that images are brought to, is that one: it gets its scores.

    Inside oddlens a larger score is stranger. ``score_samples``, ``decision_function`` and ``predict`` have
    scikit-learn's signs, where a lower value is stranger and odd images are -1.

    Fitted: ``encoders_`` (name -> encoder), ``detectors_`` (column -> detector), ``sees_`` (column -> the name of
    the encoder whose features it reads), ``fusion_`` (how the columns make the score), ``format_`` (the size that
    images are resized to), ``names_``, ``unreadable_``, ``shapes_`` (n, 2) and ``indices_`` (n,) (the size of each
    image that was read and its number in the source), ``timings_`` (stage -> seconds), ``decision_`` (which fitted
    images stand out; see ``decisions.Decision``), ``offset_`` (minus the score from which ``predict`` says odd),
    ``learned_`` (how many of the images, the first, the detectors were fitted to: others joined by ``extend``),
    ``labels_`` (name -> "odd" or "normal", as ``give_feedback`` took them in), ``lesson_`` (what was learned from
    these), ``evidence_`` (what it was learned from; see ``feedback.py``) and ``thumbnails_`` (name -> a data URI, for a
    notebook: of images in files each is made when it is shown, of others 100 are kept; neither saved nor pickled).

    >>> images = np.random.default_rng(0).integers(0, 30, (40, 8, 8), dtype=np.uint8)
    >>> images[7, 2:6, 2:6] = 255
    >>> model = AnomalyModel(detector=["neighbors", "forest"]).fit(images)
    >>> model.rank().top(1)[0].name
    '07'
    """

    def __init__(
        self,
        encoder: str | Encoder | None = None,
        detector: str | Detector | Sequence[str | Detector] | None = None,
        *,
        views: Sequence[str | View | tuple[str | Encoder, str | Detector]] | None = None,
        backbone: Given | None = None,
        effort: str = "default",
        image_size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        detail: int | None = None,
        resize: str = "squash",
        fdr: float = 0.1,
        contamination: float | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.detector = detector
        self.views = views
        self.backbone = backbone
        self.effort = effort
        self.image_size = image_size
        self.channels = channels
        self.detail = detail
        self.resize = resize
        self.fdr = fdr
        self.contamination = contamination
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, images: Any, y: None = None, *, work: Work | None = None) -> Self:  # noqa: ARG002  scikit-learn's y
        """Learn what is ordinary from a folder, files, an array, any ``ImageSource``, or what ``read`` gave, as it is.

        Up to 20,000 images are learned from, drawn at random from more; all are scored. work: where the stages are
        kept, so that a fit that was cut off goes on, and what else is found on the way; see ``passing.Work``. Without
        it the ranking has thumbnails for a notebook; see ``thumbnails.py``.

        Raises ``OptionError`` for an option that cannot work, before any image is read; ``SourceError`` for
        images that cannot be opened; ``TooFewImages`` when too few of them can be read.
        """
        ensemble = self.build()  # an option that cannot work is said before any image is read
        stream = images if isinstance(images, Stream) else (
            Stream.of(images) if isinstance(images, Collection) else self.stream(images, work))
        require_enough(stream.hand)
        timings, alone = {"reading": stream.hand.seconds}, work is None
        with working(work, stream) as work:
            with timed("learning", timings):
                key = passing.learn(ensemble, stream, work, self.n_jobs)
            with timed("encoding", timings):
                columns = passing.encode(ensemble, stream, work, key, self.n_jobs)
            with timed("scoring", timings):
                scored = passing.score(ensemble, columns, work, key)
        known = Known(columns.digests)
        first = known.first()
        # The same picture has the same score.
        scored = Scored({column: scores[first] for column, scores in scored.members.items()}, scored.features[first])
        fusion = views.fusion(ensemble.views, stream.form.channels, ensemble.unimodality, ensemble.alignment)
        self.restore(ensemble, fusion, scored, known, stream.collection(columns), timings)
        if alone:
            self.thumbnails_: Mapping[str, str] = thumbnails_in(stream, columns, self.lesson_.scores)
        return self

    def build(self) -> Ensemble:
        """The views as ``fit`` would begin with them: made, checked against each other, not fitted.

        It is the way to find out whether the options can work; raises ``OptionError`` where they cannot.
        """
        if self.contamination is not None and not 0 < self.contamination <= 0.5:
            raise OptionError(f"contamination must be above 0 and at most 0.5, got {self.contamination!r}.")
        if not 0 < self.fdr < 0.5:
            raise OptionError(f"fdr must be above 0 and below 0.5, got {self.fdr!r}.")
        if self.device != "auto":  # "auto" always works; a GPU is not woken up where no view needs one
            from oddlens.learning.devices import choose_device

            choose_device(self.device)
        return self._made(self._chosen())

    def read(self, images: Any) -> Collection:
        """Images as ``fit`` reads them, at the size given or found from the images; for ``fit``, once or often.

        All are held, in memory or a temporary file; ``fit`` itself holds no more than it learns from.
        Raises ``SourceError``, ``TooFewImages`` and ``OptionError`` as ``fit`` does.
        """
        start = time.perf_counter()
        source = open_source(images)
        collection = read_pixels(source, self._format(source), jobs=self.n_jobs)
        require_enough(collection)
        return replace(collection, seconds=time.perf_counter() - start)

    def stream(self, images: Any, work: Work | None = None) -> Stream:
        """Images as ``fit`` reads them: a sample now, the others when their turn comes.

        work: where the sample is kept. Raises as ``read`` does.
        """
        start = time.perf_counter()
        source = open_source(images)
        stream = Stream.open(source, self._format(source), self.n_jobs, work.blocks("sample") if work else None)
        require_enough(stream.hand)
        return replace(stream, hand=replace(stream.hand, seconds=time.perf_counter() - start))

    def _format(self, source: ImageSource) -> PixelFormat:
        """The size that the images of a source are brought to."""
        ensemble = self.build()
        encoders = ensemble.encoders.values()
        return look(source, self.image_size, self.channels, self.resize, jobs=self.n_jobs,
                    detail=self.detail if any(map(sees_detail, encoders)) else 0,
                    texture=self.detail != 0 and any(map(sees_texture, encoders)),
                    detail_side=ensemble.detail_side(len(source)))

    def stream_new(self, images: Any) -> Stream:
        """Images as ``rank`` reads them, in ``format_``: some now, the others of many when their turn comes."""
        self._require_fit()
        return Stream.open(open_source(images), self.format_, self.n_jobs)

    def read_new(self, images: Any) -> Collection:
        """Images as ``rank`` reads them, in ``format_``; for ``rank`` and the methods with scikit-learn's signs."""
        self._require_fit()
        return read_pixels(open_source(images), self.format_, jobs=self.n_jobs)

    def rank(self, images: Any = None, *, work: Work | None = None) -> Ranking:
        """The fitted images, each judged without itself; or other images, each judged alone.

        Other images are whatever ``fit`` takes, or what ``read_new`` or ``stream_new`` gave. work: what else is to be
        found of them; see ``passing.Work``. The threshold was fixed when the model was fitted, so that the
        rate ``fdr`` holds over the fitted images. ``predict`` goes by the same.
        """
        self._require_fit()
        if images is None:
            return self._ranking(self.names_, self.unreadable_, self.own_, self._judged(), self.thumbnails_)
        stream = self._stream_of(images)
        found, scored, row = self._score(stream, work)
        judged = self._judged(scored, row)
        shown = thumbnails_in(stream, found, judged.scores) if work is None else {}
        return self._ranking(found.names, found.unreadable, scored.members, judged, shown)

    def extend(self, images: Any, *, work: Work | None = None) -> NDArray[np.int64]:
        """Take later images in among the fitted ones, without learning anew; (m,) their rows there.

        Each has the score that it has as a new image; the decision is made anew, of all. An image with the name of a
        fitted one takes its place, and what was said of that one is forgotten; others follow. images, work: as in
        ``rank``. Whether it is time to learn anew instead: ``drift_``.
        """
        self._require_fit()
        stream = self._stream_of(images)
        found, scored, _ = self._score(stream, work)
        known = {name: row for row, name in enumerate(self.names_)}
        for name in found.names:
            known.setdefault(name, len(known))
        at = np.array([known[name] for name in found.names], np.int64)

        def placed(before: NDArray[Any], later: NDArray[Any]) -> NDArray[Any]:
            return put_at(before, later, at, len(known))

        own = Scored({column: placed(scores, scored.members[column]) for column, scores in self.own_.items()},
                     placed(self.evidence_.features, scored.features))
        before, came = dict(self.unreadable_), set(found.names)
        broken = tuple(pair for pair in self.unreadable_ if pair[0] not in known) + tuple(
            pair for pair in found.unreadable if pair[0] not in before)
        everything = nothing_of(self.format_, tuple(known), broken, placed(self.shapes_, found.shapes),
                                np.arange(len(known)))
        labels = {name: label for name, label in self.labels_.items() if name not in came}
        self.ensemble_.forget_places()
        before_shown = self.thumbnails_
        self.restore(self.ensemble_, self.fusion_, own, Known(placed(self.known_.digests, found.digests)), everything,
                     self.timings_, labels, self.learned_)
        if work is None:
            self.thumbnails_ = joined(thumbnails_in(stream, found, self.lesson_.scores[at]), before_shown, found.names)
        return at

    @property
    def drift_(self) -> Drift:
        """Whether the images that joined later are stranger than those that the model was fitted to."""
        scores = self.evidence_.scores
        return drift(scores[: self.learned_], scores[self.learned_ :])

    def give_feedback(self, labels: Mapping[str, str | None]) -> Self:
        """Take in what a person said of fitted images: name -> "odd", "normal", or None to take it back.

        Earlier labels stay. From then on ``rank``, ``predict`` and the decision go by what the labels teach, of new
        images too; without any label all is as ``fit`` left it. Copies of a labelled image have its label. Raises
        ``OptionError`` for a name that no fitted image has, and takes nothing in then.

        >>> images = np.random.default_rng(0).integers(0, 30, (40, 8, 8), dtype=np.uint8)
        >>> model = AnomalyModel(detector="neighbors").fit(images).give_feedback({"07": "odd", "08": "normal"})
        >>> model.rank().top(1)[0].name, model.labels_
        ('07', {'07': 'odd', '08': 'normal'})
        """
        self._require_fit()
        self.labels_: dict[str, str] = merged(self.labels_, labels, self.names_, [name for name, _ in self.unreadable_])
        self._learn()
        return self

    def score_samples(self, images: Any) -> Doubles:
        """(n,) minus the score of each image, nan for one that cannot be read: lower is stranger."""
        self._require_fit()
        found, scored, row = self._score(self._stream_of(images))
        scores = np.full(len(found.names) + len(found.unreadable), np.nan)
        scores[found.indices] = -self._judged(scored, row).scores
        return scores

    def decision_function(self, images: Any) -> Doubles:
        """(n,) ``score_samples`` less the threshold ``offset_``: negative is odd."""
        return self.score_samples(images) - self.offset_

    def predict(self, images: Any) -> NDArray[np.int64]:
        """(n,) 1 for ordinary images; -1 for odd ones and for those that cannot be read."""
        return np.where(self.decision_function(images) >= 0, 1, -1)

    def fit_predict(self, images: Any, y: None = None) -> NDArray[np.int64]:
        """(n,) as ``predict``, for the fitted images themselves, each judged without itself."""
        self.fit(images, y)
        labels = np.full(len(self.names_) + len(self.unreadable_), -1)
        labels[self.indices_] = np.where(-self._judged().scores >= self.offset_, 1, -1)
        return labels

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the thumbnails, for pictures are passed on only where somebody means to."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "thumbnails_": {}} if "thumbnails_" in state else state

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told of it: an outlier detector of images, as arrays or by their paths."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.string = False, True, True
        return tags

    def _chosen(self) -> Sequence[View]:
        """The views as asked for: by ``views``, by ``encoder`` and ``detector``, or by ``effort`` and ``backbone``."""
        if self.backbone is not None and not (self.views is None and self.encoder is None and self.detector is None):
            raise OptionError("A backbone adds views to the default; with views, an encoder or a detector of your own "
                              "give it as an encoder: backbone with the option network.")
        if self.views is not None:
            if self.encoder is not None or self.detector is not None:
                raise OptionError("Give either views, or encoder and detector, not both.")
            if not self.views or isinstance(self.views, str):
                raise OptionError(f"views takes a list of one or more views, got {self.views!r}.")
            return [views.parsed(v) if isinstance(v, str) else v if isinstance(v, View) else View(*v)
                    for v in self.views]
        if self.encoder is None and self.detector is None:
            return views.chosen(self.effort, self.backbone)
        detectors = "neighbors" if self.detector is None else self.detector
        if isinstance(detectors, str) or not isinstance(detectors, Sequence):
            detectors = [detectors]
        if not detectors:
            raise OptionError(f"No detector is given; known: {', '.join(registry.names('detector'))}.")
        return [View("dictionary" if self.encoder is None else self.encoder, detector) for detector in detectors]

    def _made(self, chosen: Sequence[View]) -> Ensemble:
        """The encoders and detectors of views, made and checked against each other."""
        encoders: dict[str, Encoder] = {}
        parts: list[tuple[View, str, Detector]] = []
        copies: dict[int, Encoder] = {}  # an object that is in several views is one encoder
        for view in chosen:
            encoder = copies.get(id(view.encoder)) or self._make("encoder", view.encoder, view.encoder_options)
            if not isinstance(view.encoder, str):
                copies[id(view.encoder)] = encoder
            detector = self._make("detector", view.detector, view.options)
            missing = detector.needs - encoder.gives
            if missing:
                raise OptionError(
                    f"Detector {name_of('detector', detector)} needs {', '.join(sorted(missing))}, which the encoder "
                    f"{type(encoder).__name__} does not give (it gives {', '.join(sorted(encoder.gives))})."
                )
            parts.append((view, _shared(encoders, encoder), detector))
        names = views.columns([(encoder, name_of("detector", detector)) for _, encoder, detector in parts])
        for name in names:
            if names.count(name) > 1:
                raise OptionError(f"Detector {name} is given twice; give each one once.")
        return Ensemble(encoders, {name: detector for name, (_, _, detector) in zip(names, parts, strict=True)},
                    {name: encoder for name, (_, encoder, _) in zip(names, parts, strict=True)},
                    {name: view for name, (view, _, _) in zip(names, parts, strict=True)}, detail=self.detail)

    def _make(self, role: registry.Role, spec: Any, options: Mapping[str, Any]) -> Any:
        shared = {"device": self.device, "n_jobs": self.n_jobs, "random_state": self.random_state}
        return made(role, spec, options, shared)

    def restore(
        self, ensemble: Ensemble, fusion: Fusion, own: Scored, known: Known, images: Collection,
        timings: dict[str, float], labels: Mapping[str, str] | None = None, learned: int | None = None,
    ) -> None:
        """Become fitted, by ``fit`` or from a saved model.

        ensemble:  the views, fitted.
        fusion:    how their scores are put together.
        own:       the fitted images' scores and principal components.
        known:     tells copies of the fitted images by their pixels.
        images:    the fitted images, of which only the format and what is known beside the pixels is kept: a saved
                   model has no pixels any more.
        timings:   stage -> seconds.
        labels:    name -> what a person said of a fitted image.
        learned:   how many of the images, the first, the detectors were fitted to; the others joined later. None: all.
        """
        self.ensemble_, self.fusion_, self.format_ = ensemble, fusion, images.format
        ensemble.detail = self.detail
        self.names_, self.unreadable_, self.own_, self.known_ = images.names, images.unreadable, own.members, known
        self.shapes_, self.indices_, self.timings_ = images.shapes, images.indices, timings
        self.learned_ = len(images.names) if learned is None else learned
        self.evidence_ = self._evidence(own)
        self.labels_ = dict(labels or {})
        self.thumbnails_ = {}
        self._learn()

    def _learn(self) -> None:
        """Go by the labels there are."""
        first = self.known_.first()
        self.lesson_ = learn(self.evidence_, by_row(self.labels_, self.names_, first)).of_copies(first)
        self.decision_ = self.decide(self.fdr)
        if self.contamination is None:
            self.offset_ = float(np.nextafter(-self.decision_.threshold, np.inf))  # odd from the threshold on
        else:
            self.offset_ = float(np.quantile(-self.lesson_.scores, self.contamination))

    def _evidence(self, scored: Scored) -> Evidence:
        """What is known of images, fitted or new, without labels."""
        surprisals = np.stack([fit_tail(own).surprisal(scored.members[column]) for column, own in self.own_.items()], 1)
        return Evidence(self._fuse(scored.members), np.clip(surprisals, -FARTHEST, FARTHEST).astype(np.float32),
                        scored.features)

    def decide(self, fdr: float) -> Decision:
        """Which of the fitted images stand out at a false-discovery rate from 0 to 0.5, and how sure that is."""
        self._require_fit()
        decision = self._decide_unlabelled(fdr)
        return decide_labelled(self.lesson_, fdr, decision.flagged) if self.labels_ else decision

    def _decide_unlabelled(self, fdr: float) -> Decision:
        """The same by the scores alone."""
        scores = self.evidence_.scores
        if len(self.own_) == 1:
            return decide(scores, fdr, freedom=self.freedom(next(iter(self.own_))))
        detail = views.detail_leads(self.ensemble_.views)
        weights = answer_weights(self.format_.channels, self.ensemble_.unimodality, detail)
        return decide_fused(scores, self.fusion_, self.own_, self.ensemble_.sees, weights, fdr)

    def freedom(self, column: str) -> float:
        """How heavy the tail of a view's ordinary scores is, in degrees of freedom of Student's t."""
        encoder = self.ensemble_.encoders[self.ensemble_.sees[column]]
        return encoder.tail_freedom if isinstance(encoder, HeavyTailed) else NULL_FREEDOM

    @property
    def encoders_(self) -> dict[str, Encoder]:
        """The fitted encoders by name."""
        return self.ensemble_.encoders

    @property
    def encoder_(self) -> Encoder:
        """The fitted encoder, the first where there are several."""
        return next(iter(self.ensemble_.encoders.values()))

    @property
    def detectors_(self) -> dict[str, Detector]:
        """The fitted detectors by column."""
        return self.ensemble_.detectors

    @property
    def sees_(self) -> dict[str, str]:
        """Column -> the name of the encoder whose features its detector reads."""
        return self.ensemble_.sees

    def score_pixels(self, pixels: Pixels) -> Doubles:
        """(m,) the scores of (m, height, width, channels) uint8 pixels of ``format_``, as new images.

        The pixels of a fitted image get its own score. Views that look at images in more detail have no part in it,
        nor have labels. Raises ``OptionError`` where none of the others leads: see ``judges_pixels``.
        """
        self._require_fit()
        detailed = self._detailed
        if not detailed:
            return self._fuse(self._scored(Copies(pixels))[0].members)
        if not self.judges_pixels:
            raise OptionError(f"All views that lead look at images in more detail ({', '.join(self.fusion_.leads)}): "
                              "rank the images themselves, or add a view of the small copy, like dictionary+burnout.")
        members = self.ensemble_.score(Copies(pixels), without=detailed).members
        return fuse(self.fusion_.only(members), {column: self.own_[column] for column in members}, members)

    @property
    def judges_pixels(self) -> bool:
        """Whether ``score_pixels`` can judge: a view that leads looks at the small copy of the images."""
        return any(self.sees_pixels(self.encoders_[self.sees_[column]]) for column in self.fusion_.leads)

    def sees_pixels(self, encoder: Encoder) -> bool:
        """Whether an encoder of the model was shown the small copy of the images, and no more."""
        return all(self.encoders_[name] is not encoder for name in self._detailed)

    @property
    def _detailed(self) -> tuple[str, ...]:
        """The encoders that were shown more of these images than the small copy."""
        return self.ensemble_.detailed if self.format_.detail or self.format_.texture else ()

    def _stream_of(self, images: Any) -> Stream:
        """Other images, as the model reads them."""
        return images if isinstance(images, Stream) else (
            Stream.of(images) if isinstance(images, Collection) else self.stream_new(images))

    def _score(self, stream: Stream, work: Work | None = None) -> tuple[Columns, Scored, NDArray[np.int64]]:
        """Other images, what the views say of them, and of which fitted ones they are copies."""
        if stream.form != self.format_:
            raise OptionError(f"The images were read as {stream.form}, and the model was fitted to images read "
                              f"as {self.format_}: read them with the model's read_new.")
        with working(work, stream) as work:
            found = passing.score_new(self.ensemble_, stream, work)
        row = self.known_.rows_of(work.columns.digests)
        return work.columns, self._as_known(found, row), row

    def _scored(self, images: Copies) -> tuple[Scored, NDArray[np.int64]]:
        """What the views say of images; and of which fitted images these are copies, which get its scores: -1 none."""
        row = self.known_.find(*images.parts)
        return self._as_known(self.ensemble_.score(images), row), row

    def _as_known(self, found: Scored, row: NDArray[np.int64]) -> Scored:
        """Scores of images, those of copies of fitted ones being theirs."""
        members = {column: np.where(row >= 0, self.own_[column][row], scores)
                   for column, scores in found.members.items()}
        return Scored(members, found.features)

    def _judged(self, scored: Scored | None = None, row: NDArray[np.int64] | None = None) -> Judged:
        """What labels make of the fitted images, or of others; without labels what the views say of them."""
        if scored is None or row is None:
            return Judged(self.lesson_.scores, self.lesson_.probability, self.evidence_.scores)
        evidence = self._evidence(scored)
        scores, probability = self.lesson_.judge(evidence)
        return Judged(np.where(row >= 0, self.lesson_.scores[row], scores),
                      np.where(row >= 0, self.lesson_.probability[row], probability), evidence.scores)

    def _ranking(
        self, names: tuple[str, ...], unreadable: tuple[tuple[str, str], ...], members: dict[str, Doubles],
        judged: Judged, thumbnails: Mapping[str, str],
    ) -> Ranking:
        scores = judged.scores
        p_values = self.decision_.null.p_values(scores)
        told: dict[str, Doubles | tuple[str, ...]] = {}
        if self.labels_:
            own = self.labels_ if names is self.names_ else {}
            told = {"unlabelled": judged.unlabelled, "probability": judged.probability,
                    "label": tuple(own.get(name, "") for name in names)}
        return Ranking(names, scores, members, unreadable, p_values, -scores < self.offset_, measures=told,
                       thumbnails=thumbnails)

    def _fuse(self, members: dict[str, Doubles]) -> Doubles:
        if len(members) == 1:
            return next(iter(members.values()))
        return fuse(self.fusion_, self.own_, members)

    def _require_fit(self) -> None:
        check_is_fitted(self, "ensemble_")


@dataclass(frozen=True, eq=False)
class Judged:
    """(m,) scores, probabilities of being odd, and the scores without labels."""

    scores: Doubles
    probability: Doubles
    unlabelled: Doubles


def _shared(encoders: dict[str, Encoder], encoder: Encoder) -> str:
    """The name of an encoder among the others, where an equal one is there already as that one's."""
    base = name = name_of("encoder", encoder)
    number = 1
    while name in encoders:
        if _alike(encoders[name], encoder):
            return name
        number += 1
        name = f"{base}-{number}"
    encoders[name] = encoder
    return name


def _alike(one: Encoder, other: Encoder) -> bool:
    if type(one) is not type(other):
        return False
    # An object that is not registered and does not tell its options may hold more than its constructor was given.
    if registry.untold(one) or not (isinstance(one, HasOptions) or registry.name_of("encoder", one)):
        return one is other
    return bool(registry.options_of(one) == registry.options_of(other))
