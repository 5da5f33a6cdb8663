// What the operations share: threads, streams, numbers and attributes.
#ifndef KERAS_CAFFE_OPS_COMMON_KERNEL_H_
#define KERAS_CAFFE_OPS_COMMON_KERNEL_H_

#include <algorithm>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/common/parallel.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/errors.h"
#include "tensorflow/core/platform/threadpool.h"

// One line per device; without CUDA there is only the CPU.
#ifdef KERAS_CAFFE_CUDA
#define KERAS_CAFFE_IF_CUDA(line) line
#else
#define KERAS_CAFFE_IF_CUDA(line)
#endif

namespace keras_caffe {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// TensorFlow's worker threads.
inline Parallel WorkersOf(OpKernelContext* context) {
  using Pool = tensorflow::thread::ThreadPool;
  auto* workers = context->device()->tensorflow_cpu_worker_threads()->workers;
  return [workers](int64_t units, int64_t cost, const Range& range) {
    const Pool::SchedulingParams adaptive(Pool::SchedulingStrategy::kAdaptive, cost, std::nullopt);
    workers->ParallelFor(units, adaptive, range);
  };
}

// The CUDA stream of a kernel, and a copy in its order (common/stream.cc, which is compiled with CUDA only).
void* StreamOf(OpKernelContext* context);
void CopyOnDevice(OpKernelContext* context, const Tensor& from, Tensor* to);

// What a launcher of CUDA kernels gives back.
inline absl::Status CudaStatus(int error) {
  return error ? absl::InternalError(absl::StrCat("CUDA error ", error)) : absl::OkStatus();
}

// The error for arguments that make no sense; the parts are joined.
template <typename... Parts>
absl::Status Refused(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// A tensor's values as floats: its own memory, or a copy if it holds bfloat16.
class Floats {
 public:
  explicit Floats(const Tensor& tensor) : tensor_(tensor) {
    if (tensor.dtype() == tensorflow::DT_FLOAT) return;
    tensor_ = Tensor(tensorflow::DT_FLOAT, tensor.shape());
    const auto* from = tensor.flat<tensorflow::bfloat16>().data();
    std::copy(from, from + tensor.NumElements(), tensor_.flat<float>().data());
  }
  const float* data() const { return tensor_.flat<float>().data(); }

 private:
  Tensor tensor_;
};

// Memory for an output's floats: its own, or a copy that is rounded to bfloat16 when it ends.
class RoundedTo {
 public:
  explicit RoundedTo(Tensor* tensor) : output_(tensor), floats_(*tensor) {
    if (output_->dtype() != tensorflow::DT_FLOAT) floats_ = Tensor(tensorflow::DT_FLOAT, output_->shape());
  }
  ~RoundedTo() {
    if (output_->dtype() == tensorflow::DT_FLOAT) return;
    auto* to = output_->flat<tensorflow::bfloat16>().data();
    for (int64_t i = 0; i < output_->NumElements(); ++i) to[i] = tensorflow::bfloat16(data()[i]);
  }
  float* data() { return floats_.flat<float>().data(); }

 private:
  Tensor* output_;
  Tensor floats_;
};

// Axes of a batch of images.
struct Axes {
  int channels, height, width;

  explicit Axes(bool channels_last)
      : channels(channels_last ? 3 : 1), height(channels_last ? 1 : 2), width(channels_last ? 2 : 3) {}
};

// Attribute data_format, of a kernel under construction or in a shape function.
template <typename Context>
absl::Status GetChannelsLast(Context* context, bool* channels_last) {
  std::string format;
  TF_RETURN_IF_ERROR(context->GetAttr("data_format", &format));
  *channels_last = format == "channels_last";
  return absl::OkStatus();
}

#define KERAS_CAFFE_DATA_FORMAT "data_format: {'channels_last', 'channels_first'} = 'channels_last'"

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_COMMON_KERNEL_H_
