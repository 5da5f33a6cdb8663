#include "ops/lrn/lrn.h"

#include "ops/common/kernel.h"

namespace keras_caffe {
namespace {

#define KERAS_CAFFE_LRN_ATTRIBUTES(op)                                                                             \
  op.Attr("T: {float, bfloat16}")                                                                                  \
      .Attr("local_size: int = 5")                                                                                 \
      .Attr("alpha: float = 1.0")                                                                                  \
      .Attr("beta: float = 0.75")                                                                                  \
      .Attr("k: float = 1.0")                                                                                      \
      .Attr("norm_region: {'ACROSS_CHANNELS', 'WITHIN_CHANNEL'} = 'ACROSS_CHANNELS'")                              \
      .Attr(KERAS_CAFFE_DATA_FORMAT)

absl::Status LrnShapes(InferenceContext* context) {
  int32_t local_size;
  TF_RETURN_IF_ERROR(context->GetAttr("local_size", &local_size));
  if (local_size < 1 || local_size % 2 == 0) {
    return Refused("LRN: local_size must be odd and positive, not ", local_size);
  }
  ShapeHandle x;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  if (context->num_inputs() > 1) TF_RETURN_IF_ERROR(context->Merge(x, context->input(1), &x));
  context->set_output(0, x);
  return absl::OkStatus();
}

KERAS_CAFFE_LRN_ATTRIBUTES(REGISTER_OP("KerasCaffe>Lrn").Input("x: T").Output("y: T")).SetShapeFn(LrnShapes);
KERAS_CAFFE_LRN_ATTRIBUTES(REGISTER_OP("KerasCaffe>LrnGrad").Input("x: T").Input("dy: T").Output("dx: T"))
    .SetShapeFn(LrnShapes);

template <bool gpu>
class LrnOp : public OpKernel {
 public:
  explicit LrnOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string region;
    bool channels_last = true;
    OP_REQUIRES_OK(construction, construction->GetAttr("local_size", &shape_.local_size));
    OP_REQUIRES_OK(construction, construction->GetAttr("alpha", &shape_.alpha));
    OP_REQUIRES_OK(construction, construction->GetAttr("beta", &shape_.beta));
    OP_REQUIRES_OK(construction, construction->GetAttr("k", &shape_.k));
    OP_REQUIRES_OK(construction, construction->GetAttr("norm_region", &region));
    OP_REQUIRES_OK(construction, GetChannelsLast(construction, &channels_last));
    OP_REQUIRES(construction, shape_.local_size > 0 && shape_.local_size % 2 == 1,
                Refused("LRN: local_size must be odd and positive, not ", shape_.local_size));
    shape_.within_channel = region == "WITHIN_CHANNEL";
    shape_.channels_last = channels_last;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor* dy = context->num_inputs() > 1 ? &context->input(1) : nullptr;
    OP_REQUIRES(context, x.dims() == 4, Refused("LRN needs 4 axes, not ", x.shape().DebugString()));
    OP_REQUIRES(context, !dy || dy->shape() == x.shape(),
                Refused("LRN: the gradient has another shape than x: ", x.shape().DebugString()));
    Tensor* out;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &out));
    const Axes axes(shape_.channels_last);
    LrnShape shape = shape_;
    shape.batch = x.dim_size(0);
    shape.channels = x.dim_size(axes.channels);
    shape.height = x.dim_size(axes.height);
    shape.width = x.dim_size(axes.width);
    if (x.NumElements() == 0) return;
    OP_REQUIRES_OK(context, Run(context, shape, x, dy, out));
  }

 private:
  absl::Status Run(OpKernelContext* context, const LrnShape& shape, const Tensor& x, const Tensor* dy, Tensor* out) {
    if constexpr (gpu) {
      const float* from = x.flat<float>().data();
      float* to = out->flat<float>().data();
      void* stream = StreamOf(context);
      return CudaStatus(dy ? keras_caffe_lrn_grad(&shape, from, dy->flat<float>().data(), to, stream)
                           : keras_caffe_lrn(&shape, from, to, stream));
    } else {
      RoundedTo to(out);
      if (dy) LrnGrad(shape, Floats(x).data(), Floats(*dy).data(), to.data(), WorkersOf(context));
      else Lrn(shape, Floats(x).data(), to.data(), WorkersOf(context));
      return absl::OkStatus();
    }
  }

  LrnShape shape_{};
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>Lrn").Device(tensorflow::DEVICE_CPU), LrnOp<false>);
REGISTER_KERNEL_BUILDER(Name("KerasCaffe>LrnGrad").Device(tensorflow::DEVICE_CPU), LrnOp<false>);
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(
    Name("KerasCaffe>Lrn").Device(tensorflow::DEVICE_GPU).TypeConstraint<float>("T"), LrnOp<true>);)
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(
    Name("KerasCaffe>LrnGrad").Device(tensorflow::DEVICE_GPU).TypeConstraint<float>("T"), LrnOp<true>);)

}  // namespace
}  // namespace keras_caffe
