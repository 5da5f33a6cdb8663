// Numbers of the kernels: float32, and bfloat16 as the upper half of a float32. No TensorFlow in here.
#ifndef KERAS_CAFFE_OPS_COMMON_NUMBER_H_
#define KERAS_CAFFE_OPS_COMMON_NUMBER_H_

#include <cstdint>
#include <cstring>

namespace keras_caffe {

struct BFloat16 {
  uint16_t bits;
};

inline float ToFloat(float value) { return value; }

inline float ToFloat(BFloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

template <typename T>
inline T FromFloat(float value);

template <>
inline float FromFloat<float>(float value) {
  return value;
}

// To the nearest, halves to the even one; NaN stays NaN.
template <>
inline BFloat16 FromFloat<BFloat16>(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  return {static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded)};
}

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_COMMON_NUMBER_H_
