#include "ops/pixel_batch/pixel_batch.h"

#include <algorithm>
#include <vector>

#include "ops/common/kernel.h"

namespace keras_caffe {
namespace {

template <typename Context>
absl::Status GetSize(Context* context, std::vector<int32_t>* size) {
  TF_RETURN_IF_ERROR(context->GetAttr("size", size));
  if (size->size() == 3 && *std::min_element(size->begin(), size->end()) > 0 && ((*size)[0] == 1 || (*size)[0] == 3)) {
    return absl::OkStatus();
  }
  return Refused("PixelBatch: size is (channels, window height, window width), 1 or 3 channels, all positive");
}

absl::Status PixelBatchShapes(InferenceContext* context) {
  ShapeHandle unused;
  std::vector<int32_t> size;
  bool channels_last;
  int count;
  TF_RETURN_IF_ERROR(context->GetAttr("N", &count));
  for (int n = 0; n < count; ++n) TF_RETURN_IF_ERROR(context->WithRank(context->input(n), 3, &unused));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(count), 2, &unused));
  TF_RETURN_IF_ERROR(GetSize(context, &size));
  TF_RETURN_IF_ERROR(GetChannelsLast(context, &channels_last));
  context->set_output(0, channels_last ? context->MakeShape({count, size[1], size[2], size[0]})
                                       : context->MakeShape({count, size[0], size[1], size[2]}));
  return absl::OkStatus();
}

REGISTER_OP("KerasCaffe>PixelBatch")
    .Input("images: N * uint8")
    .Input("windows: int32")
    .Input("mean: float")
    .Output("batch: float")
    .Attr("N: int >= 1")
    .Attr("size: list(int)")
    .Attr("scale: float = 1.0")
    .Attr(KERAS_CAFFE_DATA_FORMAT)
    .SetShapeFn(PixelBatchShapes);

class PixelBatchOp : public OpKernel {
 public:
  explicit PixelBatchOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::vector<int32_t> size;
    bool channels_last = true;
    OP_REQUIRES_OK(construction, GetSize(construction, &size));
    OP_REQUIRES_OK(construction, construction->GetAttr("N", &shape_.batch));
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &shape_.scale));
    OP_REQUIRES_OK(construction, GetChannelsLast(construction, &channels_last));
    shape_.channels = size[0];
    shape_.height = size[1];
    shape_.width = size[2];
    shape_.channels_last = channels_last;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &windows = context->input(shape_.batch), &mean = context->input(shape_.batch + 1);
    PixelShape shape = shape_;
    std::vector<Image> images(shape.batch);
    OP_REQUIRES_OK(context, Fit(mean, &shape));
    OP_REQUIRES(context, windows.shape() == TensorShape({shape.batch, 3}),
                Refused("PixelBatch takes windows (N, 3), not ", windows.shape().DebugString()));
    for (int64_t n = 0; n < shape.batch; ++n) {
      OP_REQUIRES_OK(context, Take(context->input(n), &windows.matrix<int32_t>()(n, 0), &images[n]));
    }
    Tensor* batch;
    OP_REQUIRES_OK(context, context->allocate_output(0, Top(), &batch));
    const RowMeans means(shape, mean.flat<float>().data());
    const int64_t size = shape.channels * shape.height * shape.width;
    float* out = batch->flat<float>().data();
    WorkersOf(context)(shape.batch, size, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) TransformPixels(shape, images[n], means, out + n * size);
    });
  }

 private:
  TensorShape Top() const {
    const PixelShape& s = shape_;
    if (s.channels_last) return TensorShape({s.batch, s.height, s.width, s.channels});
    return TensorShape({s.batch, s.channels, s.height, s.width});
  }

  // An image with its window: whether it is mirrored, first row and first column.
  absl::Status Take(const Tensor& pixels, const int32_t* window, Image* image) const {
    if (pixels.dims() != 3 || pixels.dim_size(2) != shape_.channels) {
      return Refused("PixelBatch takes images (height, width, ", shape_.channels, "), not ",
                     pixels.shape().DebugString());
    }
    const int64_t top = window[1], left = window[2];
    if (top < 0 || left < 0 || top + shape_.height > pixels.dim_size(0) || left + shape_.width > pixels.dim_size(1)) {
      return Refused("PixelBatch: the window at (", top, ", ", left, ") lies outside of the image ",
                     pixels.shape().DebugString());
    }
    *image = {pixels.flat<uint8_t>().data(), pixels.dim_size(1), window[0], window[1], window[2]};
    return absl::OkStatus();
  }

  static absl::Status Fit(const Tensor& mean, PixelShape* s) {
    s->means = mean.NumElements();
    if (s->means <= 1 || s->means == s->channels || s->means == s->channels * s->height * s->width) {
      return absl::OkStatus();
    }
    return Refused("PixelBatch: the mean ", mean.shape().DebugString(), " does not fit the window");
  }

  PixelShape shape_{};
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>PixelBatch").Device(tensorflow::DEVICE_CPU), PixelBatchOp);

}  // namespace
}  // namespace keras_caffe
