#include "ops/hinge_loss/hinge_loss.h"

#include "ops/common/kernel.h"

namespace keras_caffe {
namespace {

absl::Status HingeLossShapes(InferenceContext* context) {
  ShapeHandle scores, labels;
  DimensionHandle samples;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 2, &scores));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 1, &labels));
  TF_RETURN_IF_ERROR(context->Merge(context->Dim(scores, 0), context->Dim(labels, 0), &samples));
  context->set_output(0, context->Scalar());
  context->set_output(1, scores);
  return absl::OkStatus();
}

REGISTER_OP("KerasCaffe>HingeLoss")
    .Input("scores: T")
    .Input("labels: float")
    .Output("loss: T")
    .Output("gradient: T")
    .Attr("T: {float, bfloat16}")
    .Attr("norm: {'L1', 'L2'} = 'L1'")
    .SetShapeFn(HingeLossShapes);

template <bool gpu>
class HingeLossOp : public OpKernel {
 public:
  explicit HingeLossOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string norm;
    OP_REQUIRES_OK(construction, construction->GetAttr("norm", &norm));
    squared_ = norm == "L2";
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &scores = context->input(0), &labels = context->input(1);
    OP_REQUIRES(context, scores.dims() == 2 && labels.dims() == 1 && scores.dim_size(0) == labels.dim_size(0),
                Refused("HingeLoss takes scores (N, K) and labels (N), not ", scores.shape().DebugString(), " and ",
                        labels.shape().DebugString()));
    Tensor *loss, *gradient;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({}), &loss));
    OP_REQUIRES_OK(context, context->allocate_output(1, scores.shape(), &gradient));
    const int64_t samples = scores.dim_size(0), classes = scores.dim_size(1);
    if constexpr (gpu) {
      OP_REQUIRES_OK(context, CudaStatus(keras_caffe_hinge_loss(
                                  samples, classes, squared_, scores.flat<float>().data(), labels.flat<float>().data(),
                                  loss->flat<float>().data(), gradient->flat<float>().data(), StreamOf(context))));
    } else {
      RoundedTo rounded_loss(loss), rounded_gradient(gradient);
      HingeLoss(samples, classes, squared_, Floats(scores).data(), labels.flat<float>().data(), rounded_loss.data(),
                rounded_gradient.data(), WorkersOf(context));
    }
  }

 private:
  bool squared_;
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>HingeLoss").Device(tensorflow::DEVICE_CPU), HingeLossOp<false>);
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(
    Name("KerasCaffe>HingeLoss").Device(tensorflow::DEVICE_GPU).TypeConstraint<float>("T"), HingeLossOp<true>);)

}  // namespace
}  // namespace keras_caffe
