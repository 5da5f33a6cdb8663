"""Layers of regions and boxes. Those that choose boxes take inputs of their own, whose scores are distinct."""

from __future__ import annotations

from collections.abc import Mapping

from tests.random_nets.draft import Blob, Draft
from tests.random_nets.parts_simple import FLAG, Part


def regions(draft: Draft, x: Blob) -> Blob:
    """(R, 5) of [image, x1, y1, x2, y2]."""
    rows = (draft.choose((1, 3)), draft.choose((2, 4)))
    return draft.input((rows[0], 5), (rows[1], 5), "regions", (x.shapes[0][0], x.shapes[1][0]))


def roi(type: str, param: str, *more: str) -> Part:
    def part(draft: Draft) -> None:
        x = draft.bottom(4)
        fields = draft.fields(pooled_h=(1, 2, 3), pooled_w=(1, 4), spatial_scale=(0.5, 0.25, None))
        draft.add(type, [x, regions(draft, x)], f"{param} {{ {fields} {draft.choose(more)} }}")

    return part


def psroi_pooling(draft: Draft) -> None:
    group, outputs = draft.choose((1, 2)), draft.choose((1, 2))
    channels = group * group * outputs
    x = draft.bottom(4, fits=lambda shape: shape[1] == channels)
    fields = f"spatial_scale: {draft.choose((0.5, 1.0))} output_dim: {outputs} group_size: {group}"
    draft.add("PSROIPooling", [x, regions(draft, x)], f"psroi_pooling_param {{ {fields} }}")


def deformable_psroi_pooling(draft: Draft) -> None:
    group, parts = draft.choose((1, 2)), draft.choose((1, 3))
    x = draft.bottom(4, fits=lambda shape: shape[1] == 2 * group * group)
    rois = regions(draft, x)
    moves = draft.input(*((shape[0], 2, parts, parts) for shape in rois.shapes))
    fields = f"spatial_scale: 0.5 output_dim: 2 group_size: {group} part_size: {parts} trans_std: 0.3 "
    fields += draft.fields(sample_per_part=(2, None), no_trans=("true", None))
    draft.add("DeformablePSROIPooling", [x, rois, moves], f"deformable_psroi_pooling_param {{ {fields} }}")


def detection_output(draft: Draft) -> None:
    priors, classes = draft.choose((1, 4, 9)), draft.choose((2, 3))
    share = draft.maybe()
    locations = draft.batch_input(priors * 4 * (1 if share else classes), kind="small")
    scores = draft.batch_input(priors * classes, kind="unit")
    prior = draft.fixed_input(1, 2, priors * 4, kind="priors")
    code = draft.fields(code_type=("CENTER_SIZE", "CORNER"), keep_top_k=(3, None), confidence_threshold=(0.31, None))
    nms = f"nms_param {{ {draft.fields(nms_threshold=(0.37, 0.62), top_k=(4, None))} }}"
    fields = f"num_classes: {classes} share_location: {str(share).lower()} {code} {nms}"
    draft.add("DetectionOutput", [locations, scores, prior], f"detection_output_param {{ {fields} }}", open=True)


def multi_box_loss(draft: Draft) -> None:
    priors, classes = draft.choose((3, 9)), 3
    locations = draft.batch_input(priors * 4, kind="small")
    scores = draft.batch_input(priors * classes, kind="distinct")
    prior = draft.fixed_input(1, 2, priors * 4, kind="priors")
    truth = draft.fixed_input(1, 1, draft.choose((1, 3)), 8, kind="truth", limit=1)
    fields = f"num_classes: {classes} {draft.fields(code_type=('CENTER_SIZE', 'CORNER'), neg_pos_ratio=(2, None))}"
    fields += f" {draft.fields(mining_type=('NONE', 'MAX_NEGATIVE', None), use_difficult_gt=FLAG)}"
    draft.add("MultiBoxLoss", [locations, scores, prior, truth], f"multibox_loss_param {{ {fields} }}")


def detection_evaluate(draft: Draft) -> None:
    found = draft.input((1, 1, 4, 7), (1, 1, 6, 7), "detections", (2, 2))
    truth = draft.input((1, 1, 3, 8), (1, 1, 2, 8), "truth", (2, 2))
    fields = f"num_classes: 3 {draft.fields(overlap_threshold=(0.33, None), evaluate_difficult_gt=FLAG)}"
    draft.add("DetectionEvaluate", [found, truth], f"detection_evaluate_param {{ {fields} }}", open=True)


def proposal(draft: Draft) -> None:
    high, wide = draft.choose((1, 3, 5)), draft.choose((2, 3))
    scores = draft.fixed_input(1, 4, high, wide, kind="unit")
    deltas = draft.fixed_input(1, 8, high, wide, kind="small")
    info = draft.fixed_input(1, 3, kind="image info")
    fields = f"ratio: 1 scale: 2 scale: 4 {draft.fields(post_nms_topn=(3, None), nms_thresh=(0.57, None))}"
    tops = draft.choose((1, 2))
    draft.add("Proposal", [scores, deltas, info], f"proposal_param {{ {fields} }}", tops, open=True)


def yolo(draft: Draft) -> None:
    classes, side = draft.choose((1, 2)), draft.choose((1, 3))
    x = draft.fixed_input(1, 2 * (5 + classes), side, side, kind="distinct")
    fields = f"num_classes: {classes} num_box: 2 mask_group_num: 1 mask: 0 mask: 1 anchors_scale: 32 "
    fields += "biases: 10 biases: 14 biases: 23 biases: 27 " + draft.fields(confidence_threshold=(0.2, None))
    draft.add("Yolov3DetectionOutput", [x], f"yolov3_detection_output_param {{ {fields} }}", open=True)


PARTS: Mapping[str, Part] = {
    "DeformablePSROIPooling": deformable_psroi_pooling,
    "DetectionEvaluate": detection_evaluate,
    "DetectionOutput": detection_output,
    "MultiBoxLoss": multi_box_loss,
    "PSROIPooling": psroi_pooling,
    "Proposal": proposal,
    "ROIAlign": roi("ROIAlign", "roi_align_param", "", "sampling_ratio: 2"),
    "ROIPooling": roi("ROIPooling", "roi_pooling_param", ""),
    "ROIWarping": roi("ROIWarping", "roi_warping_param", ""),
    "Yolov3DetectionOutput": yolo,
}
