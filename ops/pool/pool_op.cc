#include "ops/pool/pool.h"

#include <limits>
#include <vector>

#include "ops/common/kernel.h"

namespace keras_caffe {
namespace {

#define KERAS_CAFFE_POOL_ATTRIBUTES(op)                      \
  op.Attr("T: {float, bfloat16}")                            \
      .Attr("pool: {'MAX', 'AVE', 'STOCHASTIC'} = 'MAX'")    \
      .Attr("kernel_size: list(int)")                        \
      .Attr("stride: list(int)")                             \
      .Attr("pad: list(int)")                                \
      .Attr("round_mode: {'CEIL', 'FLOOR'} = 'CEIL'")        \
      .Attr(KERAS_CAFFE_DATA_FORMAT)

struct Geometry {
  std::string pool;
  std::vector<int32_t> kernel, stride, pad;
  bool ceil, channels_last;

  template <typename Context>
  absl::Status Read(Context* context) {
    std::string round_mode;
    TF_RETURN_IF_ERROR(context->GetAttr("pool", &pool));
    TF_RETURN_IF_ERROR(context->GetAttr("kernel_size", &kernel));
    TF_RETURN_IF_ERROR(context->GetAttr("stride", &stride));
    TF_RETURN_IF_ERROR(context->GetAttr("pad", &pad));
    TF_RETURN_IF_ERROR(context->GetAttr("round_mode", &round_mode));
    TF_RETURN_IF_ERROR(GetChannelsLast(context, &channels_last));
    ceil = round_mode == "CEIL";
    return Check();
  }

  absl::Status Check() const {
    if (kernel.size() != 2 || stride.size() != 2 || pad.size() != 2) {
      return Refused("Pooling: kernel_size, stride and pad take two numbers, height and width");
    }
    for (int i = 0; i < 2; ++i) {
      if (kernel[i] < 1 || stride[i] < 1 || pad[i] < 0) {
        return Refused("Pooling: kernel_size and stride must be positive and pad not negative; kernel_size ", kernel[i],
                       ", stride ", stride[i], ", pad ", pad[i]);
      }
      if (Padded() && pad[i] >= kernel[i]) {
        return Refused("Pooling: pad must be smaller than kernel_size; pad ", pad[i], ", kernel_size ", kernel[i]);
      }
    }
    if (Padded() && pool == "STOCHASTIC") return Refused("Pooling: STOCHASTIC takes no pad");
    return absl::OkStatus();
  }

  bool Padded() const { return pad[0] || pad[1]; }

  absl::Status Output(int64_t size, int axis, int64_t* windows) const {
    *windows = PoolOutput(size, kernel[axis], stride[axis], pad[axis], ceil, Padded());
    if (*windows >= 0) return absl::OkStatus();
    return Refused("Pooling: the input is too small; ", size, " with kernel_size ", kernel[axis], ", pad ", pad[axis]);
  }

  // The windows over an input.
  absl::Status Lay(const TensorShape& x, PoolShape* shape) const {
    if (x.dims() != 4) return Refused("Pooling needs 4 axes, not ", x.DebugString());
    const Axes axes(channels_last);
    *shape = {x.dim_size(0), x.dim_size(axes.channels), x.dim_size(axes.height), x.dim_size(axes.width), 0, 0,
              kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1], channels_last};
    TF_RETURN_IF_ERROR(Output(shape->height, 0, &shape->out_height));
    TF_RETURN_IF_ERROR(Output(shape->width, 1, &shape->out_width));
    if (shape->height * shape->width <= std::numeric_limits<int32_t>::max()) return absl::OkStatus();
    return Refused("Pooling: a plane of ", shape->height, " x ", shape->width, " cells is too large for a mask");
  }

  TensorShape Top(const PoolShape& shape) const {
    if (channels_last) return TensorShape({shape.batch, shape.out_height, shape.out_width, shape.channels});
    return TensorShape({shape.batch, shape.channels, shape.out_height, shape.out_width});
  }
};

absl::Status PoolShapes(InferenceContext* context) {
  Geometry geometry;
  TF_RETURN_IF_ERROR(geometry.Read(context));
  ShapeHandle x;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  const Axes axes(geometry.channels_last);
  ShapeHandle y = x;
  for (int i = 0; i < 2; ++i) {
    const int axis = i == 0 ? axes.height : axes.width;
    DimensionHandle windows = context->UnknownDim();
    if (context->ValueKnown(context->Dim(x, axis))) {
      int64_t count;
      TF_RETURN_IF_ERROR(geometry.Output(context->Value(context->Dim(x, axis)), i, &count));
      windows = context->MakeDim(count);
    }
    TF_RETURN_IF_ERROR(context->ReplaceDim(y, axis, windows, &y));
  }
  bool with_mask;
  TF_RETURN_IF_ERROR(context->GetAttr("with_mask", &with_mask));
  context->set_output(0, y);
  context->set_output(1, with_mask ? y : context->Vector(0));
  return absl::OkStatus();
}

absl::Status PoolGradShapes(InferenceContext* context) {
  Geometry geometry;
  TF_RETURN_IF_ERROR(geometry.Read(context));
  ShapeHandle x, dy;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 4, &dy));
  context->set_output(0, x);
  return absl::OkStatus();
}

KERAS_CAFFE_POOL_ATTRIBUTES(
    REGISTER_OP("KerasCaffe>Pool").Input("x: T").Input("uniform: T").Output("y: T").Output("mask: int32"))
    .Attr("with_mask: bool = false")
    .SetShapeFn(PoolShapes);

KERAS_CAFFE_POOL_ATTRIBUTES(
    REGISTER_OP("KerasCaffe>PoolGrad").Input("x: T").Input("mask: int32").Input("dy: T").Output("dx: T"))
    .SetShapeFn(PoolGradShapes);

class PoolKernel : public OpKernel {
 public:
  explicit PoolKernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, geometry_.Read(construction));
  }

 protected:
  Geometry geometry_;
};

template <bool gpu>
class PoolOp : public PoolKernel {
 public:
  explicit PoolOp(OpKernelConstruction* construction) : PoolKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("with_mask", &with_mask_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &uniform = context->input(1);
    PoolShape shape;
    OP_REQUIRES_OK(context, geometry_.Lay(x.shape(), &shape));
    const TensorShape top = geometry_.Top(shape);
    const bool draws = geometry_.pool == "STOCHASTIC" && uniform.NumElements() > 0;
    OP_REQUIRES(context, with_mask_ || !draws, Refused("Pooling: a drawn cell needs with_mask"));
    OP_REQUIRES(context, !draws || uniform.shape() == top,
                Refused("Pooling: uniform has the shape ", uniform.shape().DebugString(), ", not ", top.DebugString()));
    Tensor *y, *mask;
    OP_REQUIRES_OK(context, context->allocate_output(0, top, &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, with_mask_ ? top : TensorShape({0}), &mask));
    if (top.num_elements() == 0) return;
    int32_t* index = with_mask_ ? mask->flat<int32_t>().data() : nullptr;
    if constexpr (gpu) {
      OP_REQUIRES_OK(context, CudaStatus(Launch(shape, x, draws ? &uniform : nullptr, y, index, StreamOf(context))));
    } else {
      RoundedTo to(y);
      Run(shape, Floats(x).data(), draws ? Floats(uniform).data() : nullptr, to.data(), index, WorkersOf(context));
    }
  }

 private:
  void Run(const PoolShape& shape, const float* x, const float* uniform, float* y, int32_t* mask,
           const Parallel& parallel) {
    if (geometry_.pool == "MAX") MaxPool(shape, x, y, mask, parallel);
    else if (geometry_.pool == "AVE") AveragePool(shape, x, y, parallel);
    else if (uniform) StochasticPool(shape, x, uniform, y, mask, parallel);
    else StochasticMeanPool(shape, x, y, parallel);
  }

  int Launch(const PoolShape& shape, const Tensor& x, const Tensor* uniform, Tensor* y, int32_t* mask, void* stream) {
    const float* from = x.flat<float>().data();
    float* to = y->flat<float>().data();
    if (geometry_.pool == "MAX") return keras_caffe_max_pool(&shape, from, to, mask, stream);
    if (geometry_.pool == "AVE") return keras_caffe_average_pool(&shape, from, to, stream);
    if (!uniform) return keras_caffe_stochastic_mean_pool(&shape, from, to, stream);
    return keras_caffe_stochastic_pool(&shape, from, uniform->flat<float>().data(), to, mask, stream);
  }

  bool with_mask_;
};

template <bool gpu>
class PoolGradOp : public PoolKernel {
 public:
  using PoolKernel::PoolKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &mask = context->input(1), &dy = context->input(2);
    PoolShape shape;
    OP_REQUIRES_OK(context, geometry_.Lay(x.shape(), &shape));
    const bool masked = geometry_.pool == "MAX" || mask.NumElements() > 0;
    OP_REQUIRES(context, dy.shape() == geometry_.Top(shape) && (!masked || mask.shape() == dy.shape()),
                Refused("Pooling: gradient and mask have the shapes ", dy.shape().DebugString(), " and ",
                        mask.shape().DebugString(), ", not ", geometry_.Top(shape).DebugString()));
    Tensor* dx;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
    if (x.NumElements() == 0) return;
    const int32_t* index = masked ? mask.flat<int32_t>().data() : nullptr;
    if constexpr (gpu) {
      OP_REQUIRES_OK(context, CudaStatus(Launch(shape, x, index, dy, dx, StreamOf(context))));
    } else {
      RoundedTo to(dx);
      const Floats top(dy);
      if (index) MaskPoolGrad(shape, top.data(), index, to.data(), WorkersOf(context));
      else if (geometry_.pool == "AVE") AveragePoolGrad(shape, top.data(), to.data(), WorkersOf(context));
      else StochasticMeanPoolGrad(shape, Floats(x).data(), top.data(), to.data(), WorkersOf(context));
    }
  }

 private:
  int Launch(const PoolShape& shape, const Tensor& x, const int32_t* mask, const Tensor& dy, Tensor* dx, void* stream) {
    const float *from = x.flat<float>().data(), *top = dy.flat<float>().data();
    float* to = dx->flat<float>().data();
    if (mask) return keras_caffe_mask_pool_grad(&shape, top, mask, to, stream);
    if (geometry_.pool == "AVE") return keras_caffe_average_pool_grad(&shape, top, to, stream);
    return keras_caffe_stochastic_mean_pool_grad(&shape, from, top, to, stream);
  }
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>Pool").Device(tensorflow::DEVICE_CPU), PoolOp<false>);
REGISTER_KERNEL_BUILDER(Name("KerasCaffe>PoolGrad").Device(tensorflow::DEVICE_CPU), PoolGradOp<false>);
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(
    Name("KerasCaffe>Pool").Device(tensorflow::DEVICE_GPU).TypeConstraint<float>("T"), PoolOp<true>);)
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(
    Name("KerasCaffe>PoolGrad").Device(tensorflow::DEVICE_GPU).TypeConstraint<float>("T"), PoolGradOp<true>);)

}  // namespace
}  // namespace keras_caffe
