"""What each input added to the answer of a tree ensemble: path-dependent Shapley values, for any ensemble that treelite holds.

A leaf answers with its value where every condition on its path holds. Along a path each input j has two numbers: o_j, 1 if the row
meets the path's conditions on j, else 0; z_j, the share of training rows that meets them. The input's Shapley value of that game is
(o_j - z_j) times the integral over t in [0, 1] of the product over the other inputs of z_i + t (o_i - z_i) (Owen, 1972: multilinear
extension), a polynomial, which Gauss-Legendre quadrature integrates exactly. The values are those of TreeSHAP (Lundberg et al., 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours.port import CannotExplain, Rows
from tilth.wire.models import Link

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

MAX_CELLS = 4_000_000
"""Rows are taken in pieces whose largest table has at most so many cells."""
LEAST_SHARE = 1e-12

_LESS, _LESS_EQUAL = 2, 3
_LINKS: dict[str, Link] = {
    "identity": "identity",
    "identity_multiclass": "identity",
    "sigmoid": "logistic",
    "softmax": "softmax",
    "exponential": "log",
}


@dataclass(frozen=True, slots=True)
class _Paths:
    """All trees at once.

    Nodes that split: feature, threshold, strict (< instead of <=), default_left. categories: node -> (codes, whether they go right).
    Edges, sorted by leaf and then by feature: node and left. Parts, one for each leaf and feature on its path: where its edges start,
    its leaf, feature and share. Leaves: where their parts start; values, shape (leaves, outputs).
    """

    feature: Ints
    threshold: Floats
    strict: NDArray[np.bool_]
    default_left: NDArray[np.bool_]
    categories: Mapping[int, tuple[Floats, bool]]
    edge_node: Ints
    edge_left: NDArray[np.bool_]
    part_start: Ints
    part_leaf: Ints
    part_feature: Ints
    share: Floats
    leaf_start: Ints
    values: Floats
    base: Floats
    depth: int


class TreeReasons:
    """link: how the sum of contributions becomes the answer. Thread-safe."""

    def __init__(self, ensemble: Any, outputs: int, *, float32: bool, known: Mapping[int, Floats]) -> None:
        header = ensemble.get_header_accessor()
        processor = header.get_field("postprocessor")
        if processor not in _LINKS:
            raise CannotExplain(f"a tree ensemble that ends in {processor} has no contributions that add up")
        self.link: Link = _LINKS[processor]
        self._float32, self._known = float32, known
        self._paths = _paths(ensemble, header, outputs)
        points, weights = np.polynomial.legendre.leggauss(max(1, (self._paths.depth + 1) // 2))
        self._quadrature = list(zip((points + 1) / 2, weights / 2, strict=True))

    def contributions(self, rows: Rows) -> tuple[Floats, Floats]:
        """Shape (rows, outputs, inputs), and the base (outputs,): what the ensemble answers on average over its training rows."""
        paths = self._paths
        rows = self._as_trained(rows)
        piece = max(1, MAX_CELLS // max(1, len(paths.edge_node)))
        found = [self._piece(rows[start : start + piece]) for start in range(0, len(rows), piece)]
        return np.concatenate(found) if found else np.empty((0, paths.values.shape[1], rows.shape[1])), paths.base

    def _piece(self, rows: Rows) -> Floats:
        paths = self._paths
        added = np.zeros((len(rows), paths.values.shape[1], rows.shape[1]))
        if not len(paths.share):
            return added
        met = _goes_left(paths, rows)[:, paths.edge_node] == paths.edge_left
        one = np.logical_and.reduceat(met, paths.part_start, axis=1)
        slope = one - paths.share
        integral = np.zeros_like(slope)
        for point, weight in self._quadrature:
            factor = paths.share + point * slope
            product = np.multiply.reduceat(factor, paths.leaf_start, axis=1)
            integral += weight * product[:, paths.part_leaf] / factor
        shapley = slope * integral
        order = np.argsort(paths.part_feature, kind="stable")
        features, starts = np.unique(paths.part_feature[order], return_index=True)
        for output in range(paths.values.shape[1]):
            weighted = (shapley * paths.values[paths.part_leaf, output])[:, order]
            added[:, output, features] = np.add.reduceat(weighted, starts, axis=1)
        return added

    def _as_trained(self, rows: Rows) -> Rows:
        rows = rows.astype(np.float32).astype(np.float64) if self._float32 else rows.copy()
        for at, categories in self._known.items():
            rows[~np.isin(rows[:, at], categories), at] = np.nan
        return rows


def _goes_left(paths: _Paths, rows: Rows) -> NDArray[np.bool_]:
    """Shape (rows, nodes that split)."""
    values = rows[:, paths.feature]
    with np.errstate(invalid="ignore"):
        left = np.where(paths.strict, values < paths.threshold, values <= paths.threshold)
    for node, (codes, right) in paths.categories.items():
        left[:, node] = np.isin(values[:, node], codes) != right
    return np.where(np.isnan(values), paths.default_left, left)


@dataclass(slots=True)
class _Tree:
    """Fields of one tree, as treelite keeps them. cover: rows of training (or their weight) at each node."""

    left: Ints
    right: Ints
    feature: Ints
    cover: Floats

    def leaves(self) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
        """Each leaf with its path: (node, whether it goes left there)."""
        waiting: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
        while waiting:
            node, path = waiting.pop()
            if self.left[node] < 0:
                yield node, path
            else:
                waiting.append((int(self.right[node]), [*path, (node, False)]))
                waiting.append((int(self.left[node]), [*path, (node, True)]))

    def share(self, node: int, left: bool) -> float:
        child = self.left[node] if left else self.right[node]
        return max(LEAST_SHARE, float(self.cover[child] / self.cover[node])) if self.cover[node] else LEAST_SHARE


class _Collector:
    """Lists that become `_Paths`."""

    def __init__(self, outputs: int) -> None:
        self.nodes: list[tuple[int, float, bool, bool]] = []
        self.categories: dict[int, tuple[Floats, bool]] = {}
        self.edges: list[tuple[int, bool]] = []
        self.parts: list[tuple[int, int, int, float]] = []
        self.leaf_start: list[int] = []
        self.values: list[Floats] = []
        self.base = np.zeros(outputs)
        self.depth = 1

    def add(self, accessor: Any, values_of: Any) -> None:
        tree = _Tree(
            accessor.get_field("cleft").astype(np.intp),
            accessor.get_field("cright").astype(np.intp),
            accessor.get_field("split_index").astype(np.intp),
            _cover(accessor),
        )
        place = self._add_nodes(accessor, tree)
        for leaf, path in tree.leaves():
            values = values_of(accessor, leaf)
            if not path:
                self.base += values
                continue
            chance = 1.0
            self.leaf_start.append(len(self.parts))
            features = sorted({int(tree.feature[node]) for node, _ in path})
            self.depth = max(self.depth, len(features))
            for feature in features:
                steps = [(node, left) for node, left in path if tree.feature[node] == feature]
                share = float(np.prod([tree.share(node, left) for node, left in steps]))
                self.parts.append((len(self.edges), len(self.values), feature, share))
                self.edges += [(place[node], left) for node, left in steps]
                chance *= share
            self.values.append(values)
            self.base += chance * values

    def _add_nodes(self, accessor: Any, tree: _Tree) -> dict[int, int]:
        """Node of the tree -> its place among all nodes that split."""
        threshold = accessor.get_field("threshold").astype(np.float64)
        compare, default_left = accessor.get_field("cmp"), accessor.get_field("default_left")
        kind = accessor.get_field("node_type")
        place = {}
        for node in np.flatnonzero(tree.left >= 0):
            place[int(node)] = at = len(self.nodes)
            categorical = kind[node] == 2
            if not categorical and compare[node] not in (_LESS, _LESS_EQUAL):
                raise CannotExplain("the trees compare in a way that is not known here")
            strict = bool(compare[node] == _LESS)
            self.nodes.append((int(tree.feature[node]), float(threshold[node]), strict, bool(default_left[node])))
            if categorical:
                begin, end = (int(accessor.get_field(f"category_list_{side}")[node]) for side in ("begin", "end"))
                codes = accessor.get_field("category_list")[begin:end].astype(np.float64)
                self.categories[at] = (codes, bool(accessor.get_field("category_list_right_child")[node]))
        return place

    def collected(self, scale: float, offset: Floats) -> _Paths:
        feature, threshold, strict, default_left = zip(*self.nodes, strict=True) if self.nodes else ((), (), (), ())
        node, left = zip(*self.edges, strict=True) if self.edges else ((), ())
        start, leaf, part_feature, share = zip(*self.parts, strict=True) if self.parts else ((), (), (), ())
        outputs = len(self.base)
        return _Paths(
            feature=np.array(feature, dtype=np.intp),
            threshold=np.array(threshold, dtype=np.float64),
            strict=np.array(strict, dtype=np.bool_),
            default_left=np.array(default_left, dtype=np.bool_),
            categories=self.categories,
            edge_node=np.array(node, dtype=np.intp),
            edge_left=np.array(left, dtype=np.bool_),
            part_start=np.array(start, dtype=np.intp),
            part_leaf=np.array(leaf, dtype=np.intp),
            part_feature=np.array(part_feature, dtype=np.intp),
            share=np.array(share, dtype=np.float64),
            leaf_start=np.array(self.leaf_start, dtype=np.intp),
            values=np.array(self.values, dtype=np.float64).reshape(-1, outputs) * scale,
            base=self.base * scale + offset,
            depth=self.depth,
        )


def _cover(accessor: Any) -> Floats:
    for name in ("sum_hess", "data_count"):
        present = accessor.get_field(f"{name}_present")
        if len(present) and present.all():
            cover: Floats = accessor.get_field(name).astype(np.float64)
            return cover
    raise CannotExplain("the trees do not say how many training rows met each node")


def _paths(ensemble: Any, header: Any, outputs: int) -> _Paths:
    """outputs: columns of the signature. Of two classes that add up to one only the second counts."""
    classes = int(header.get_field("num_class")[0])
    if int(header.get_field("num_target")[0]) > 1:
        raise CannotExplain("a tree ensemble of several targets is not explained")
    taken = slice(classes - 1, classes) if outputs == 1 else slice(0, classes)
    class_of_tree = header.get_field("class_id")
    collector = _Collector(outputs)
    for at in range(ensemble.num_tree):
        collector.add(ensemble.get_tree_accessor(at), _values_of(int(class_of_tree[at]), classes, taken))
    averaged = bool(header.get_field("average_tree_output")[0])
    # Of boosting with several classes each tree speaks for one: an average is over the trees of a forest only.
    scale = 1.0 / max(1, ensemble.num_tree) if averaged else 1.0
    offset = np.broadcast_to(header.get_field("base_scores"), (classes,)).astype(np.float64)[taken]
    return collector.collected(scale, offset)


def _values_of(of_class: int, classes: int, taken: slice) -> Any:
    """A function from (tree, leaf) to the leaf's values, shape (outputs,)."""

    def values(accessor: Any, leaf: int) -> Floats:
        if of_class < 0 and classes > 1:
            begin = int(accessor.get_field("leaf_vector_begin")[leaf])
            whole = accessor.get_field("leaf_vector")[begin : begin + classes]
        else:
            whole = np.zeros(classes)
            whole[max(of_class, 0)] = accessor.get_field("leaf_value")[leaf]
        return np.asarray(whole, dtype=np.float64)[taken]

    return values
