#include "ops/datum_batch/datum_batch.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "ops/common/kernel.h"

namespace keras_caffe {
namespace {

using tensorflow::tstring;

absl::Status DatumBatchShapes(InferenceContext* context) {
  ShapeHandle records, windows, mean;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 1, &records));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 2, &windows));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 3, &mean));
  std::vector<int32_t> shape;
  bool channels_last;
  TF_RETURN_IF_ERROR(context->GetAttr("shape", &shape));
  TF_RETURN_IF_ERROR(GetChannelsLast(context, &channels_last));
  if (shape.size() != 5 || *std::min_element(shape.begin(), shape.end()) < 1) {
    return Refused("DatumBatch: shape is (channels, height, width, window height, window width), all positive");
  }
  if (shape[3] > shape[1] || shape[4] > shape[2]) {
    return Refused("DatumBatch: crop_size ", shape[3], " x ", shape[4], " is larger than the image, ", shape[1], " x ",
                   shape[2]);
  }
  const DimensionHandle batch = context->Dim(records, 0);
  context->set_output(0, channels_last ? context->MakeShape({batch, shape[3], shape[4], shape[0]})
                                       : context->MakeShape({batch, shape[0], shape[3], shape[4]}));
  context->set_output(1, context->Vector(batch));
  return absl::OkStatus();
}

REGISTER_OP("KerasCaffe>DatumBatch")
    .Input("records: string")
    .Input("windows: int32")
    .Input("mean: float")
    .Output("batch: float")
    .Output("labels: float")
    .Attr("shape: list(int)")
    .Attr("scale: float = 1.0")
    .Attr(KERAS_CAFFE_DATA_FORMAT)
    .SetShapeFn(DatumBatchShapes);

class DatumBatchOp : public OpKernel {
 public:
  explicit DatumBatchOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::vector<int32_t> sizes;
    bool channels_last = true;
    OP_REQUIRES_OK(construction, construction->GetAttr("shape", &sizes));
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &shape_.scale));
    OP_REQUIRES_OK(construction, GetChannelsLast(construction, &channels_last));
    OP_REQUIRES(construction, sizes.size() == 5, Refused("DatumBatch: shape takes five numbers"));
    shape_.channels = sizes[0];
    shape_.height = sizes[1];
    shape_.width = sizes[2];
    shape_.out_height = sizes[3];
    shape_.out_width = sizes[4];
    shape_.channels_last = channels_last;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &records = context->input(0), &windows = context->input(1), &mean = context->input(2);
    DatumShape shape = shape_;
    OP_REQUIRES_OK(context, Fit(records, windows, mean, &shape));
    const int64_t size = shape.channels * shape.out_height * shape.out_width;
    Tensor *batch, *labels;
    OP_REQUIRES_OK(context, context->allocate_output(0, Top(shape), &batch));
    OP_REQUIRES_OK(context, context->allocate_output(1, records.shape(), &labels));
    const tstring* record = records.flat<tstring>().data();
    const int32_t* window = windows.flat<int32_t>().data();
    const float* means = mean.NumElements() ? mean.flat<float>().data() : nullptr;
    float *out = batch->flat<float>().data(), *label = labels->flat<float>().data();
    std::atomic<int64_t> wrong{-1};
    WorkersOf(context)(shape.batch, size * 2, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        Datum datum;
        const auto* bytes = reinterpret_cast<const uint8_t*>(record[n].data());
        if (!ParseDatum(bytes, record[n].size(), &datum) || !Matches(shape, datum)) {
          wrong = n;
          return;
        }
        label[n] = static_cast<float>(datum.label);
        TransformDatum(shape, datum, {window[3 * n], window[3 * n + 1], window[3 * n + 2]}, means, out + n * size);
      }
    });
    OP_REQUIRES(context, wrong < 0,
                Refused("DatumBatch: record ", wrong.load(), " of the batch is no raw Datum of ", shape.channels, " x ",
                        shape.height, " x ", shape.width));
  }

 private:
  static TensorShape Top(const DatumShape& s) {
    if (s.channels_last) return TensorShape({s.batch, s.out_height, s.out_width, s.channels});
    return TensorShape({s.batch, s.channels, s.out_height, s.out_width});
  }

  static bool Matches(const DatumShape& shape, const Datum& datum) {
    const size_t pixels = shape.channels * shape.height * shape.width;
    return !datum.encoded && datum.channels == shape.channels && datum.height == shape.height &&
           datum.width == shape.width && (datum.data_size ? datum.data_size == pixels : datum.float_count == pixels);
  }

  static absl::Status Fit(const Tensor& records, const Tensor& windows, const Tensor& mean, DatumShape* shape) {
    if (records.dims() != 1 || windows.dims() != 2 || windows.dim_size(0) != records.dim_size(0) ||
        windows.dim_size(1) != 3) {
      return Refused("DatumBatch takes records (N) and windows (N, 3), not ", records.shape().DebugString(), " and ",
                     windows.shape().DebugString());
    }
    shape->batch = records.dim_size(0);
    const auto window = windows.matrix<int32_t>();
    for (int64_t n = 0; n < shape->batch; ++n) {
      const int64_t top = window(n, 1), left = window(n, 2);
      if (top >= 0 && left >= 0 && top + shape->out_height <= shape->height && left + shape->out_width <= shape->width) {
        continue;
      }
      return Refused("DatumBatch: window ", n, " at (", top, ", ", left, ") lies outside of the image");
    }
    if (mean.NumElements() == 0) return absl::OkStatus();
    shape->mean_channels = mean.dim_size(0);
    shape->mean_height = mean.dims() == 3 ? mean.dim_size(1) : 0;
    shape->mean_width = mean.dims() == 3 ? mean.dim_size(2) : 0;
    const bool whole = mean.NumElements() == shape->channels * shape->height * shape->width;
    const bool values = shape->mean_height * shape->mean_width == 1 &&
                        (shape->mean_channels == 1 || shape->mean_channels == shape->channels);
    if (values || (whole && shape->mean_height == shape->height && shape->mean_width == shape->width)) {
      return absl::OkStatus();
    }
    return Refused("DatumBatch: the mean ", mean.shape().DebugString(), " does not fit the image");
  }

  DatumShape shape_{};
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>DatumBatch").Device(tensorflow::DEVICE_CPU), DatumBatchOp);

}  // namespace
}  // namespace keras_caffe
