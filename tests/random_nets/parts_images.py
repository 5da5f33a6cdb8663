"""Layers of images: convolutions, windows, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.random_nets.draft import Blob, Draft
from tests.random_nets.parts_simple import FLAG, Part

KERNELS = (1, 2, 3, 5)


def divisor(draft: Draft, number: int) -> int:
    return draft.choose([n for n in range(1, number + 1) if number % n == 0])


def window(draft: Draft, dilation: bool = True) -> str:
    """Kernel, stride, pad and dilation in one of Caffe's spellings."""
    if draft.maybe():
        text = draft.fields(kernel_h=KERNELS, kernel_w=KERNELS, pad_h=(0, 1, 2), pad_w=(0, 1, None))
        text += " " + draft.choose(("", "stride_h: 2 stride_w: 1", "stride_h: 1 stride_w: 3"))
    else:
        text = draft.fields(kernel_size=KERNELS, stride=(1, 2, 3, None), pad=(0, 1, 2, None))
    return f"{text} {draft.fields(dilation=(2, None, None))}" if dilation else text


def convolution(draft: Draft) -> None:
    bottom = draft.bottom(4)
    group = divisor(draft, bottom.shape[1])
    outputs = group * draft.choose((1, 2, 3))
    fields = f"num_output: {outputs} group: {group} {window(draft)} {draft.fields(bias_term=FLAG)}"
    bottoms = [bottom, draft.like(bottom)] if draft.choose((True, False, False, False, False)) else [bottom]
    draft.add("Convolution", bottoms, f"convolution_param {{ {fields} }}", len(bottoms))


def convolution_block(draft: Draft) -> None:
    """A convolution as trained nets have it: BatchNorm and Scale after it or not, ReLU, all in place."""
    bottom = draft.bottom(4)
    fields = draft.fields(num_output=(2, 4, 7), kernel_size=(1, 3), pad=(0, 1), stride=(1, 2), bias_term=FLAG)
    tops = draft.add("Convolution", [bottom], f"convolution_param {{ {fields} }}")
    if draft.maybe():
        draft.add("BatchNorm", tops, in_place=True)
        draft.add("Scale", tops, "scale_param { bias_term: true }", in_place=True)
    draft.add(draft.choose(("ReLU", "ReLU", "ReLU6", "PReLU", "ELU")), tops, in_place=True)


def convolution_nd(draft: Draft) -> None:
    fields = draft.fields(num_output=(1, 3, 4), kernel_size=(1, 2), stride=(1, 2), pad=(0, 1), bias_term=FLAG)
    draft.add("Convolution", [draft.bottom(3, 5)], f"convolution_param {{ {fields} }}")


def deconvolution(draft: Draft) -> None:
    bottom = draft.bottom(4)
    group = divisor(draft, bottom.shape[1])
    fields = f"num_output: {group * draft.choose((1, 2))} group: {group} {draft.fields(bias_term=FLAG)}"
    fields += f" {draft.fields(kernel_size=KERNELS, stride=(1, 2, 3, None), pad=(0, 1, None))}"
    draft.add("Deconvolution", [bottom], f"convolution_param {{ {fields} }}")


def depthwise(draft: Draft) -> None:
    bottom, fields = draft.bottom(4), f"{window(draft)} {draft.fields(bias_term=FLAG)}"
    type = draft.choose(("DepthwiseConvolution", "ConvolutionDepthwise"))
    draft.add(type, [bottom], f"convolution_param {{ num_output: {bottom.shape[1]} {fields} }}")


def im2col(draft: Draft) -> None:
    draft.add("Im2col", [draft.bottom(4)], f"convolution_param {{ {window(draft)} }}")


def pooling(draft: Draft) -> None:
    fields = draft.fields(pool=("MAX", "AVE", "STOCHASTIC", "MAX", "AVE"), round_mode=("FLOOR", None, None))
    fields += " " + draft.choose(("global_pooling: true", window(draft, dilation=False), window(draft, dilation=False)))
    draft.add("Pooling", [draft.bottom(4)], f"pooling_param {{ {fields} }}")


def pooling_with_mask(draft: Draft) -> None:
    """The mask chooses: its bottom holds distinct values. Now and then an Upsample reads it."""
    bottom, size = draft.image(kind="distinct"), draft.choose((2, 3))
    more = f"pool: MAX kernel_size: {size} {draft.fields(stride=(1, 2), pad=(0, 1))}"
    pooled, mask = draft.add("Pooling", [bottom], f"pooling_param {{ {more} }}", 2)
    if draft.maybe():
        high, wide = bottom.shape[2:]
        draft.add("Upsample", [pooled, mask], f"upsample_param {{ upsample_h: {high} upsample_w: {wide} }}")


def upsample(draft: Draft) -> None:
    draft.add("Upsample", [draft.bottom(4)], f"upsample_param {{ scale: {draft.choose((1, 2, 3))} }}")


def spp(draft: Draft) -> None:
    fields = draft.fields(pyramid_height=(1, 2, 3), pool=("MAX", "AVE"))
    draft.add("SPP", [draft.bottom(4)], f"spp_param {{ {fields} }}")


def interp(draft: Draft) -> None:
    size = draft.fields(height=(1, 4, 7, 10), width=(1, 3, 8))
    factors = ("zoom_factor: 2", "zoom_factor: 3", "shrink_factor: 2", "zoom_factor: 2 shrink_factor: 2")
    fields = f"{draft.choose((size, *factors))} {draft.fields(pad_beg=(-1, None, None), pad_end=(-1, None, None))}"
    draft.add("Interp", [draft.bottom(4)], f"interp_param {{ {fields} }}")


def reorg(draft: Draft) -> None:
    stride, reverse = draft.choose((1, 2, 3)), draft.choose(("false", "true"))

    def fits(shape: Any) -> bool:
        sizes = (
            (shape[1] // stride**2 * stride**2 == shape[1],)
            if reverse == "true"
            else (shape[2] % stride == 0, shape[3] % stride == 0)
        )
        return all(sizes)

    bottom = draft.bottom(4, fits=fits)
    draft.add("Reorg", [bottom], f"reorg_param {{ stride: {stride} reverse: {reverse} }}")


def shuffle_channel(draft: Draft) -> None:
    bottom = draft.bottom(2, 3, 4)
    group = divisor(draft, bottom.shape[1])
    draft.add("ShuffleChannel", [bottom], f"shuffle_channel_param {{ group: {group} }}")


def maxout(draft: Draft) -> None:
    bottom = draft.bottom(2, 3, 4)
    size = divisor(draft, bottom.shape[1])
    draft.add("Maxout", [bottom], f"maxout_param {{ chgroup_sz: {size} }}")


def axpy(draft: Draft) -> None:
    x = draft.bottom(4)
    first, second = (shape[:2] for shape in x.shapes)
    ones = (1, 1) if draft.maybe() else ()
    a = draft.input((*first, *ones), (*second, *ones))
    draft.add("Axpy", [a, x, draft.like(x)])


def crop(draft: Draft) -> None:
    """The second bottom, smaller, is new or an existing one that fits."""
    x = draft.bottom(4)
    axis = draft.choose((1, 2, 3))
    small = [draft.choose(range(1, size + 1)) if a >= axis else size for a, size in enumerate(x.shape)]
    offsets = [draft.choose(range(x.shape[a] - small[a] + 1)) for a in range(axis, 4)]
    reference = draft.input(small, (x.shapes[1][0], *small[1:]))
    text = " ".join(f"offset: {offset}" for offset in offsets)
    draft.add("Crop", [x, reference], f"crop_param {{ axis: {axis} {text} }}")


def prior_box(draft: Draft) -> None:
    features: Blob = draft.bottom(4)
    fields = draft.fields(aspect_ratio=(2, 3, None), flip=FLAG, clip=FLAG, step=(4, None), offset=(0.3, None))
    sizes = draft.choose(("min_size: 7", "min_size: 7 max_size: 12", "min_size: 7 min_size: 11"))
    image = draft.batch_input(3, 24, 31)
    draft.add("PriorBox", [features, image], f"prior_box_param {{ {sizes} {fields} variance: 0.1 }}")


def prior_box_clustered(draft: Draft) -> None:
    features: Blob = draft.bottom(4)
    fields = draft.fields(clip=FLAG, step=(4, None), offset=(0.3, None))
    image = draft.batch_input(3, 24, 31)
    draft.add("PriorBoxClustered", [features, image], f"prior_box_param {{ width: [7, 9.5] height: [11, 4] {fields} }}")


def mask_pooling(draft: Draft) -> None:
    bottom = draft.bottom(4)
    draft.add("MaskPooling", [bottom, draft.input(*((shape[0], 1, *shape[2:]) for shape in bottom.shapes))])


def mask_resize(draft: Draft) -> None:
    fields = draft.fields(output_height=(1, 3, 6), output_width=(2, 5))
    draft.add("MaskResize", [draft.bottom(4)], f"mask_resize_param {{ {fields} }}")


PARTS: Mapping[str, Part] = {
    "Axpy": axpy,
    "Convolution": convolution,
    "Convolution block": convolution_block,
    "Convolution ND": convolution_nd,
    "DepthwiseConvolution": depthwise,
    "Crop": crop,
    "Deconvolution": deconvolution,
    "Im2col": im2col,
    "Interp": interp,
    "MaskPooling": mask_pooling,
    "MaskResize": mask_resize,
    "Maxout": maxout,
    "Pooling": pooling,
    "Pooling with mask": pooling_with_mask,
    "PriorBox": prior_box,
    "PriorBoxClustered": prior_box_clustered,
    "Reorg": reorg,
    "SPP": spp,
    "ShuffleChannel": shuffle_channel,
    "Upsample": upsample,
}
