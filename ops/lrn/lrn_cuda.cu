// Across channels: a thread takes a run of one pixel's channels and holds all that it needs around them in registers,
// which is why the windows of up to 9 channels are known when this is compiled. Larger ones are correct, and slow.
// Window sums start anew at each channel, so that nothing is lost to cancellation.
#include "ops/lrn/lrn_cuda.h"

namespace keras_caffe {
namespace {

constexpr int kRun = 8;  // of 4, 8 and 16 the fastest on an H200

// Runs of channels, and how far apart channels, pixels and images lie.
template <typename I>
struct Line {
  Divider<I> runs, pixels;
  int channels;
  I step, pixel, image;
  bool channels_last;

  Line(const LrnShape& s, int64_t run)
      : runs((s.channels + run - 1) / run),
        pixels(s.height * s.width),
        channels(static_cast<int>(s.channels)),
        step(static_cast<I>(s.channels_last ? 1 : s.height * s.width)),
        pixel(static_cast<I>(s.channels_last ? s.channels : 1)),
        image(static_cast<I>(s.channels * s.height * s.width)),
        channels_last(s.channels_last != 0) {}

  KERAS_CAFFE_DEVICE bool Has(int c) const { return c >= 0 && c < channels; }
};

// Unit i -> where its pixel's channel 0 lies, and its run. Neighbouring threads are neighbours in memory.
template <typename I>
KERAS_CAFFE_DEVICE I Place(const Line<I>& line, I i, int* run) {
  if (line.channels_last) *run = static_cast<int>(Take(line.runs, &i));
  const I pixel = Take(line.pixels, &i);
  if (!line.channels_last) *run = static_cast<int>(Take(line.runs, &i));
  return i * line.image + pixel * line.pixel;
}

// values[j] = that of channel `first + j`, 0 beyond the channels; V at once, which must lie next to each other.
template <int COUNT, int V, typename I>
KERAS_CAFFE_DEVICE void ReadRun(const Line<I>& line, const float* pixel, int first, float* values) {
#pragma unroll
  for (int j = 0; j < COUNT; j += V) {
    Values<float, V> read = {};
    if (line.Has(first + j)) read = Read<V>(pixel + static_cast<I>(first + j) * line.step);
#pragma unroll
    for (int v = 0; v < V; ++v) values[j + v] = read.at[v];
  }
}

template <int COUNT, int V, typename I>
KERAS_CAFFE_DEVICE void WriteRun(const Line<I>& line, const float* values, int first, float* pixel) {
#pragma unroll
  for (int j = 0; j < COUNT; j += V) {
    Values<float, V> written;
#pragma unroll
    for (int v = 0; v < V; ++v) written.at[v] = values[j + v];
    if (line.Has(first + j)) Write(written, pixel + static_cast<I>(first + j) * line.step);
  }
}

template <int R, int RUN, int V, typename I>
__global__ void AcrossKernel(Line<I> line, LrnFormula formula, I units, const float* __restrict__ x,
                             float* __restrict__ y) {
  constexpr int kAround = (R + V - 1) / V * V;  // in whole reads
  for (I i = FirstUnit<I>(); i < units; i += UnitStep<I>()) {
    int run;
    const I at = Place(line, i, &run);
    float values[RUN + 2 * kAround], result[RUN];
    ReadRun<RUN + 2 * kAround, V>(line, x + at, run * RUN - kAround, values);
#pragma unroll
    for (int j = 0; j < RUN; ++j) {
      const float* own = values + kAround + j;
      result[j] = *own * formula.Power(formula.Base(SumOfSquares<2 * R + 1>(own - R)));
    }
    WriteRun<RUN, V>(line, result, run * RUN, y + at);
  }
}

template <int R, int RUN, int V, typename I>
__global__ void AcrossGradKernel(Line<I> line, LrnFormula formula, I units, const float* __restrict__ x,
                                 const float* __restrict__ dy, float* __restrict__ dx) {
  constexpr int kFar = (2 * R + V - 1) / V * V, kNear = (R + V - 1) / V * V;  // in whole reads
  for (I i = FirstUnit<I>(); i < units; i += UnitStep<I>()) {
    int run;
    const I at = Place(line, i, &run);
    float values[RUN + 2 * kFar], tops[RUN + 2 * kNear], powers[RUN + 2 * R], ratios[RUN + 2 * R], result[RUN];
    ReadRun<RUN + 2 * kFar, V>(line, x + at, run * RUN - kFar, values);
    ReadRun<RUN + 2 * kNear, V>(line, dy + at, run * RUN - kNear, tops);
#pragma unroll
    for (int j = 0; j < RUN + 2 * R; ++j) {
      const float* own = values + kFar - R + j;
      const float base = formula.Base(SumOfSquares<2 * R + 1>(own - R));
      powers[j] = formula.Power(base);
      ratios[j] = line.Has(run * RUN - R + j) ? __fdividef(tops[kNear - R + j] * *own * powers[j], base) : 0.0f;
    }
#pragma unroll
    for (int j = 0; j < RUN; ++j) {
      result[j] = formula.Gradient(values[kFar + j], tops[kNear + j], powers[R + j], Sum<2 * R + 1>(ratios + j));
    }
    WriteRun<RUN, V>(line, result, run * RUN, dx + at);
  }
}

template <typename I>
KERAS_CAFFE_DEVICE float BaseAt(const Line<I>& line, const LrnFormula& formula, const float* pixel, int c, int radius) {
  float sum = 0.0f;
  for (int j = max(c - radius, 0); j <= min(c + radius, line.channels - 1); ++j) {
    const float value = pixel[static_cast<I>(j) * line.step];
    sum += value * value;
  }
  return formula.Base(sum);
}

// Windows of any size, one channel to a thread.
template <typename I>
__global__ void WideKernel(Line<I> line, LrnFormula formula, int radius, I units, const float* __restrict__ x,
                           const float* __restrict__ dy, float* __restrict__ out) {
  for (I i = FirstUnit<I>(); i < units; i += UnitStep<I>()) {
    int c;
    const I at = Place(line, i, &c), own = at + static_cast<I>(c) * line.step;
    const float power = formula.Power(BaseAt(line, formula, x + at, c, radius));
    if (!dy) {
      out[own] = x[own] * power;
      continue;
    }
    float ratios = 0.0f;
    for (int j = max(c - radius, 0); j <= min(c + radius, line.channels - 1); ++j) {
      const I other = at + static_cast<I>(j) * line.step;
      const float base = BaseAt(line, formula, x + at, j, radius);
      ratios += dy[other] * x[other] * formula.Power(base) / base;
    }
    out[own] = formula.Gradient(x[own], dy[own], power, ratios);
  }
}

struct Call {
  const LrnShape& shape;
  const float *x, *dy;
  float* out;
  void* stream;

  template <int R, int RUN, int V, typename I>
  int Narrow() const {
    const LrnFormula formula(shape);
    const Line<I> line(shape, RUN);
    const I units = static_cast<I>(shape.batch * shape.height * shape.width) * line.runs.divisor;
    if (dy) return Launch(AcrossGradKernel<R, RUN, V, I>, units, stream, line, formula, units, x, dy, out);
    return Launch(AcrossKernel<R, RUN, V, I>, units, stream, line, formula, units, x, out);
  }

  template <int R>
  int Short() const {
    if (!shape.channels_last) return Narrow<R, kRun, 1, uint32_t>();
    const bool quads = shape.channels % 4 == 0 && Aligned(x, dy, out);
    return quads ? Narrow<R, kRun, 4, uint32_t>() : Narrow<R, kRun, 1, uint32_t>();
  }

  template <typename I>
  int Wide() const {
    const I units = static_cast<I>(LrnSize(shape));
    const int radius = (shape.local_size - 1) / 2;
    return Launch(WideKernel<I>, units, stream, Line<I>(shape, 1), LrnFormula(shape), radius, units, x, dy, out);
  }
};

}  // namespace

int LrnAcross(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream) {
  const Call call{shape, x, dy, out, stream};
  if (LrnSize(shape) >= kShort) return call.Wide<int64_t>();
  switch ((shape.local_size - 1) / 2) {
    case 0: return call.Short<0>();
    case 1: return call.Short<1>();
    case 2: return call.Short<2>();
    case 3: return call.Short<3>();
    case 4: return call.Short<4>();
    default: return call.Wide<uint32_t>();
  }
}

}  // namespace keras_caffe

extern "C" {

int keras_caffe_lrn(const KerasCaffeLrnShape* shape, const float* x, float* y, void* stream) {
  using namespace keras_caffe;
  if (LrnSize(*shape) == 0) return cudaSuccess;
  return (shape->within_channel ? LrnWithin : LrnAcross)(*shape, x, nullptr, y, stream);
}

int keras_caffe_lrn_grad(const KerasCaffeLrnShape* shape, const float* x, const float* dy, float* dx, void* stream) {
  using namespace keras_caffe;
  if (LrnSize(*shape) == 0) return cudaSuccess;
  return (shape->within_channel ? LrnWithin : LrnAcross)(*shape, x, dy, dx, stream);
}

}  // extern "C"
