"""Bazel's built-in Java rules, which its own packages load even where nothing is written in Java."""

java_binary = native.java_binary
java_import = native.java_import
java_library = native.java_library
java_runtime = native.java_runtime
java_toolchain = native.java_toolchain
