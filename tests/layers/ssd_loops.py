"""SSD's and RefineDet's loss as plain loops over float32: what their multibox_loss_layer.cpp and bbox_util.cpp do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Rules = Any  # keras_caffe.ops.multibox.MultiBoxRules
Box = np.ndarray
IGNORED, FREE = -2, -1


class Truth(NamedTuple):
    """One box of the ground truth."""

    label: int
    box: Box


def area(box: Box) -> np.float32:
    return np.float32(0) if box[2] < box[0] or box[3] < box[1] else (box[2] - box[0]) * (box[3] - box[1])


def overlap(a: Box, b: Box) -> np.float32:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return np.float32(0)
    common = np.float32(width * height)
    return np.float32(common / (area(a) + area(b) - common))


def sides(prior: Box) -> Box:
    return np.array([prior[2] - prior[0], prior[3] - prior[1]] * 2, np.float32)


def encode(prior: Box, variance: Box, box: Box, rules: Rules) -> Box:
    unit = sides(prior)
    if rules.code_type == "CENTER_SIZE":
        middle = (box[:2] + box[2:] - prior[:2] - prior[2:]) / 2 / unit[:2]
        code = np.concatenate([middle, np.log(sides(box)[:2] / unit[:2])])
    else:
        code = (box - prior) / (unit if rules.code_type == "CORNER_SIZE" else 1)
    return (code if rules.encode_variance_in_target else code / variance).astype("float32")


def decode(prior: Box, variance: Box, code: Box, rules: Rules) -> Box:
    code, unit = code if rules.encode_variance_in_target else code * variance, sides(prior)
    if rules.code_type == "CENTER_SIZE":
        middle, half = code[:2] * unit[:2] + (prior[:2] + prior[2:]) / 2, np.exp(code[2:]) * unit[:2] / 2
        return np.concatenate([middle - half, middle + half]).astype("float32")
    return (prior + code * (unit if rules.code_type == "CORNER_SIZE" else 1)).astype("float32")


def match(boxes: list[Box], truths: list[Truth], label: int | None, rules: Rules) -> tuple[list[int], list[float]]:
    """For each box which truth it is matched to, and its greatest overlap. Only truths of the label, if any, count."""
    index, best = [FREE] * len(boxes), [np.float32(0)] * len(boxes)
    mine = [t for t, truth in enumerate(truths) if label in (None, truth.label)]
    common: dict[tuple[int, int], np.float32] = {}
    for p, box in enumerate(boxes if mine else []):
        if rules.ignore_cross_boundary_bbox and ((box < 0) | (box > 1)).any():
            index[p] = IGNORED
            continue
        for t in mine:
            value = overlap(box, truths[t].box)
            if value > 1e-6:
                common[p, t], best[p] = value, max(best[p], value)
    left = set(mine)
    while pairs := [pair for pair in common if index[pair[0]] == FREE and pair[1] in left]:
        p, t = max(pairs, key=lambda pair: (common[pair], -pair[0], -pair[1]))
        index[p] = t
        left.remove(t)
    if rules.match_type == "PER_PREDICTION":
        for p in range(len(boxes)):
            close = [t for t in mine if common.get((p, t), -1) >= rules.overlap_threshold]
            if index[p] == FREE and close:
                index[p] = max(close, key=lambda t: (common[p, t], -t))
    return index, best


def suppressed(boxes: list[Box], losses: list[float], threshold: float, top_k: int) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda i: -losses[i])
    order, kept = order[:top_k] if top_k > -1 else order, []
    for i in order:
        if area(boxes[i]) >= 1e-5 and all(overlap(boxes[k], boxes[i]) <= threshold for k in kept):
            kept.append(i)
    return kept


def class_loss(scores: np.ndarray, targets: np.ndarray, rules: Rules) -> tuple[float, np.ndarray]:
    """The loss and its gradient: of the first class whose target is 1 (SOFTMAX), or of each class by itself."""
    x = scores.astype(float)
    if rules.conf_loss_type == "SOFTMAX":
        p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        return -np.log(max(p[list(targets).index(1)], np.finfo("float32").tiny)), p - targets
    return float(np.sum(np.maximum(x, 0) - x * targets + np.log1p(np.exp(-abs(x))))), 1 / (1 + np.exp(-x)) - targets


def location_loss(difference: np.ndarray, rules: Rules) -> tuple[float, np.ndarray]:
    d, near = difference.astype(float), abs(difference) < 1
    if rules.loc_loss_type == "L2":
        return float(d @ d) / 2, d
    return float(np.sum(np.where(near, d * d / 2, abs(d) - 0.5))), np.where(near, d, np.sign(d))


class Loop:
    """One forward and backward pass of the loss."""

    def __init__(self, bottoms: list[np.ndarray], rules: Rules) -> None:
        locations, scores, priors, truth, *own = bottoms
        self.rules, self.images, self.count = rules, len(locations), priors.shape[2] // 4
        self.locations = locations.reshape(self.images, self.count, rules.sets, 4)
        self.scores = scores.reshape(self.images, self.count, rules.num_classes)
        self.priors, self.variances = priors[0].reshape(2, -1, 4)
        self.truths: list[list[Truth]] = [[] for _ in range(self.images)]
        for row in truth.reshape(-1, 8):
            if row[0] != -1 and (rules.use_difficult_gt or not row[7]):
                label = 1 if rules.objects_alike and int(row[1]) >= 2 else int(row[1])
                self.truths[int(row[0])].append(Truth(label, row[3:7]))
        self.own = [scores.reshape(self.images, -1, 2)[..., 1] for scores in own[:1]]
        self.shifted = [list(self.priors)] * self.images
        if own[1:]:
            shifts = own[1].reshape(self.images, -1, 4)
            self.shifted = [self._boxes(codes) for codes in shifts]
        self.matches: list[dict[int, list[int]]] = []
        self.negatives: list[list[int]] = []
        for image in range(self.images):
            self.matches.append({})
            self.negatives.append([])
            if self.truths[image]:
                self._match_and_mine(image)

    def _decoded(self, image: int, kind: int) -> list[Box]:
        return self._boxes(self.locations[image, :, kind])

    def _boxes(self, codes: np.ndarray) -> list[Box]:
        return [decode(*row, self.rules) for row in zip(self.priors, self.variances, codes, strict=True)]

    def _match_and_mine(self, image: int) -> None:
        rules, truths, best = self.rules, self.truths[image], {}
        kinds = [0] if rules.share_location else [k for k in range(rules.sets) if k != rules.background_label_id]
        for kind in kinds:
            label = None if rules.share_location else kind
            if rules.use_prior_for_matching:
                index, best[kind] = match(self.shifted[image], truths, None, rules)
                if label is not None:
                    index = [t if t > FREE and truths[t].label == label else FREE for t in index]
            else:
                index, best[kind] = match(self._decoded(image, kind), truths, label, rules)
            self.matches[image][kind] = index
        if rules.mining_type != "NONE":
            self._mine(image, self.matches[image][0], best[0])

    def _mine(self, image: int, index: list[int], best: list[float]) -> None:
        rules, hard = self.rules, self.rules.mining_type == "HARD_EXAMPLE"
        losses = []
        for p, t in enumerate(index):
            label = self.truths[image][t].label if t > FREE else rules.background_label_id
            loss = class_loss(self.scores[image, p], self._one(label), rules)[0]
            difference = self.difference(image, 0, p, self.priors[p])[0] if hard and t > FREE else np.zeros(4)
            located = location_loss(difference, rules)[0]
            losses.append(np.float32(loss) + np.float32(located))
        able = [p for p, t in enumerate(index) if hard or (t == FREE and best[p] < rules.neg_overlap)]
        able = [p for p in able if all(own[image, p] >= rules.objectness_score for own in self.own)]
        found = sum(t > FREE for t in index)
        quota = rules.sample_size if hard else int(np.float32(found) * np.float32(rules.neg_pos_ratio))
        able.sort(key=lambda p: -losses[p])
        if rules.nms_threshold:
            boxes = list(self.priors) if rules.use_prior_for_nms else self._decoded(image, 0)
            chosen = [boxes[p] for p in able], [losses[p] for p in able]
            able = [able[i] for i in suppressed(*chosen, rules.nms_threshold, rules.top_k)]
        taken = able[:quota]
        self.negatives[image] = [p for p, t in enumerate(index) if t == FREE and p in taken]
        if hard:
            self.matches[image][0] = [FREE if t > FREE and p not in taken else t for p, t in enumerate(index)]

    def _one(self, label: int) -> np.ndarray:
        return (np.arange(self.rules.num_classes) == label).astype(float)

    def difference(self, image: int, kind: int, p: int, prior: Box) -> tuple[np.ndarray, np.ndarray]:
        """Location less target, and which of the four numbers have a gradient."""
        rules, code, live = self.rules, self.locations[image, p, kind].copy(), np.ones(4)
        variance = self.variances[p]
        goal = encode(prior, variance, self.truths[image][self.matches[image][kind][p]].box, rules)
        if rules.bp_inside:
            box = prior if rules.use_prior_for_matching else decode(prior, variance, code, rules)
            outside = (box < 0) | (box > 1)
            code[outside], live[outside] = goal[outside], 0
        return (code - goal) / (variance if rules.encode_variance_in_target else 1), live

    def run(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The loss, and the gradients of locations and scores."""
        rules = self.rules
        pairs = [(i, k, p, t) for i, m in enumerate(self.matches) for k in m for p, t in enumerate(m[k]) if t > FREE]
        norms = {"FULL": self.images * self.count, "VALID": len(pairs), "BATCH_SIZE": self.images, "NONE": 1}
        norm = max(norms[rules.normalization], 1)
        loss, to_locations, to_scores = 0.0, np.zeros(self.locations.shape), np.zeros(self.scores.shape)
        for image, kind, p, _ in pairs:
            difference, live = self.difference(image, kind, p, self.shifted[image][p])
            value, gradient = location_loss(difference, rules)
            loss += rules.loc_weight * value / norm
            to_locations[image, p, kind] = (
                rules.loc_weight * gradient * live / norm
            )  # not over the variance, as in Caffe
        for (image, p), targets in self._targets(pairs).items():
            value, gradient = class_loss(self.scores[image, p], targets, rules)
            loss, to_scores[image, p] = loss + value / norm, gradient / norm
        return loss, to_locations, to_scores

    def _targets(self, pairs: list[tuple[int, int, int, int]]) -> dict[tuple[int, int], np.ndarray]:
        """{(image, prior): target of each class} of what counts in the class loss."""
        rules, classes, background = self.rules, self.rules.num_classes, self.rules.background_label_id
        soft, mined = rules.conf_loss_type == "SOFTMAX", rules.mining_type != "NONE"
        labels = {
            (i, p): background + 1 if rules.map_object_to_agnostic else self.truths[i][t].label for i, _, p, t in pairs
        }
        if mined:
            labels |= {(image, p): background for image, found in enumerate(self.negatives) for p in found}
        if soft:
            every = [(image, p) for image in range(self.images) for p in range(self.count)]
            return {at: self._one(labels.get(at, background)) for at in (labels if mined else every)}
        filled = np.full(classes, float(background))  # Caffe fills the targets with the background's number
        if mined:
            return {at: np.where(self._one(label) == 1, 1, filled) for at, label in labels.items()}
        flat = np.tile(filled, self.images * self.count)
        for image, _, p, t in pairs:  # images lie `count` numbers apart, not `count` rows
            flat[
                image * self.count
                + p * classes
                + (background + 1 if rules.map_object_to_agnostic else self.truths[image][t].label)
            ] = 1
        rows = flat.reshape(self.images, self.count, classes)
        return {(image, p): rows[image, p] for image in range(self.images) for p in range(self.count)}
