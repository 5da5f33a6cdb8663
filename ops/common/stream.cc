#define EIGEN_USE_GPU
#include "unsupported/Eigen/CXX11/Tensor"
#include "ops/common/kernel.h"

namespace keras_caffe {

void* StreamOf(OpKernelContext* context) { return context->eigen_gpu_device().stream(); }

void CopyOnDevice(OpKernelContext* context, const Tensor& from, Tensor* to) {
  context->eigen_gpu_device().memcpy(to->data(), from.data(), from.TotalBytes());
}

}  // namespace keras_caffe
