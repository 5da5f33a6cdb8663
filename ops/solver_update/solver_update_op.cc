#include "ops/solver_update/solver_update.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "ops/common/kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

namespace keras_caffe {
namespace {

using tensorflow::Var;
using tensorflow::mutex_lock;
using tensorflow::core::RefCountPtr;

constexpr int kFirst = 1;  // input; the gradient and the numbers come after the histories

int Histories(const std::string& method) { return method == "AdaDelta" || method == "Adam" ? 2 : 1; }

absl::Status SolverUpdateShapes(InferenceContext* context) {
  std::string method;
  int histories;
  TF_RETURN_IF_ERROR(context->GetAttr("method", &method));
  TF_RETURN_IF_ERROR(context->GetAttr("N", &histories));
  if (histories != Histories(method)) {
    return Refused(method, " has ", Histories(method), " histories, not ", histories);
  }
  ShapeHandle number;
  for (int i = context->num_inputs() - 3; i < context->num_inputs(); ++i) {
    TF_RETURN_IF_ERROR(context->WithRank(context->input(i), 0, &number));
  }
  return absl::OkStatus();
}

REGISTER_OP("KerasCaffe>SolverUpdate")
    .Input("weights: resource")
    .Input("histories: N * resource")
    .Input("gradient: float")
    .Input("rate: float")
    .Input("decay: float")
    .Input("scale: float")
    .Attr("N: int >= 1")
    .Attr("method: {'SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam'}")
    .Attr("regularization_type: {'L2', 'L1'} = 'L2'")
    .Attr("momentum: float = 0.0")
    .Attr("decay2: float = 0.0")
    .Attr("delta: float = 1e-8")
    .SetIsStateful()
    .SetShapeFn(SolverUpdateShapes);

template <bool gpu>
class SolverUpdateOp : public OpKernel {
 public:
  explicit SolverUpdateOp(OpKernelConstruction* construction) : OpKernel(construction) {
    std::string method, regularization;
    OP_REQUIRES_OK(construction, construction->GetAttr("method", &method));
    OP_REQUIRES_OK(construction, construction->GetAttr("regularization_type", &regularization));
    OP_REQUIRES_OK(construction, construction->GetAttr("momentum", &update_.momentum));
    OP_REQUIRES_OK(construction, construction->GetAttr("decay2", &update_.decay2));
    OP_REQUIRES_OK(construction, construction->GetAttr("delta", &update_.delta));
    static const std::map<std::string, int32_t> methods = {
        {"SGD", kKerasCaffeSgd},         {"Nesterov", kKerasCaffeNesterov}, {"AdaGrad", kKerasCaffeAdaGrad},
        {"RMSProp", kKerasCaffeRmsProp}, {"AdaDelta", kKerasCaffeAdaDelta}, {"Adam", kKerasCaffeAdam}};
    update_.method = methods.at(method);
    update_.l1 = regularization == "L1";
    histories_ = Histories(method);
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& gradient = context->input(kFirst + histories_);
    SolverUpdate update = update_;
    OP_REQUIRES_OK(context, Number(context, 1, &update.rate));
    OP_REQUIRES_OK(context, Number(context, 2, &update.decay));
    OP_REQUIRES_OK(context, Number(context, 3, &update.scale));
    std::vector<RefCountPtr<Var>> variables(histories_ + 1);
    for (int i = 0; i <= histories_; ++i) {
      OP_REQUIRES_OK(context, LookupResource(context, HandleFromInput(context, i), &variables[i]));
    }
    const auto locks = Lock(variables);
    float* values[3] = {};
    for (int i = 0; i <= histories_; ++i) {
      OP_REQUIRES_OK(context, Own(context, variables[i].get(), gradient.shape(), &values[i]));
    }
    const float* from = gradient.flat<float>().data();
    const int64_t size = gradient.NumElements();
    if (size == 0) return;
    if constexpr (gpu) {
      OP_REQUIRES_OK(context, CudaStatus(keras_caffe_solver_update(&update, size, from, values[0], values[1], values[2],
                                                                   StreamOf(context))));
    } else {
      UpdateParameters(update, size, from, values[0], values[1], values[2], WorkersOf(context));
    }
  }

 private:
  // All of the variables' locks, in the order that TensorFlow's own operations take them.
  static std::vector<std::unique_ptr<mutex_lock>> Lock(const std::vector<RefCountPtr<Var>>& variables) {
    std::set<tensorflow::mutex*> mutexes;
    for (const auto& variable : variables) mutexes.insert(variable->mu());
    std::vector<std::unique_ptr<mutex_lock>> locks;
    for (tensorflow::mutex* mutex : mutexes) locks.push_back(std::make_unique<mutex_lock>(*mutex));
    return locks;
  }

  // The variable's memory, which becomes a copy if somebody else still reads it.
  static absl::Status Own(OpKernelContext* context, Var* variable, const TensorShape& shape,
                          float** values) {
    Tensor* tensor = variable->tensor();
    if (!variable->is_initialized || tensor->dtype() != tensorflow::DT_FLOAT || tensor->shape() != shape) {
      return Refused("SolverUpdate: weights, histories and gradient must be float32 of one shape; the gradient has ",
                     shape.DebugString(), ", a variable ", tensor->shape().DebugString());
    }
    if (!tensor->RefCountIsOne()) {
      Tensor copy;
      TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_FLOAT, shape, &copy));
      if constexpr (gpu) CopyOnDevice(context, *tensor, &copy);
      else std::copy_n(tensor->flat<float>().data(), shape.num_elements(), copy.flat<float>().data());
      *tensor = copy;
    }
    *values = tensor->flat<float>().data();
    return absl::OkStatus();
  }

  absl::Status Number(OpKernelContext* context, int place, float* number) const {
    const Tensor& tensor = context->input(kFirst + histories_ + place);
    if (tensor.NumElements() != 1) return Refused("SolverUpdate: rate, decay and scale are single numbers");
    *number = tensor.flat<float>()(0);
    return absl::OkStatus();
  }

  SolverUpdate update_{};
  int histories_;
};

REGISTER_KERNEL_BUILDER(Name("KerasCaffe>SolverUpdate").Device(tensorflow::DEVICE_CPU), SolverUpdateOp<false>);
KERAS_CAFFE_IF_CUDA(REGISTER_KERNEL_BUILDER(Name("KerasCaffe>SolverUpdate")
                                                .Device(tensorflow::DEVICE_GPU)
                                                .HostMemory("weights")
                                                .HostMemory("histories")
                                                .HostMemory("rate")
                                                .HostMemory("decay")
                                                .HostMemory("scale"),
                                            SolverUpdateOp<true>);)

}  // namespace
}  // namespace keras_caffe
