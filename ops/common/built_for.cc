// What this library was built from and for, to be read from the file before it is loaded (the build script defines both).
extern "C" const char keras_caffe_built_for[] =
    "KERAS_CAFFE_TENSORFLOW=" KERAS_CAFFE_TENSORFLOW ";KERAS_CAFFE_SOURCES=" KERAS_CAFFE_SOURCES ";";
