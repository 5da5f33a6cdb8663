"""The TensorFlow that a Python interpreter has, as a repository: headers, flags and the library to link."""

_ASK = """
import json
import tensorflow as tf
flags = tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()
print(json.dumps([tf.__version__, tf.sysconfig.get_include(), tf.sysconfig.get_lib(), *flags]))
"""

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(["include/**"]),
    defines = {defines},
    includes = ["include"],
)

cc_import(
    name = "framework",
    shared_library = "lib/{library}",
)
"""

def _local_tensorflow(context):
    python = context.os.environ.get("PYTHON_BIN_PATH") or context.which("python3")
    if not python:
        fail("no python3 on the PATH: set PYTHON_BIN_PATH to an interpreter that has TensorFlow")
    done = context.execute([python, "-c", _ASK], environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}, timeout = 300)
    if done.return_code:
        fail("%s has no TensorFlow: set PYTHON_BIN_PATH to one that has.\n%s" % (python, done.stderr))
    version, include, lib, compile_flags, link_flags = json.decode(done.stdout.strip().split("\n")[-1])
    library = [flag[len("-l:"):] for flag in link_flags if flag.startswith("-l:")][0]
    defines = [flag[len("-D"):] for flag in compile_flags if flag.startswith("-D")]
    context.symlink(include, "include")
    context.symlink("%s/%s" % (lib, library), "lib/" + library)
    context.file("BUILD", _BUILD.format(defines = repr(defines), library = library))
    context.file("version.bzl", "VERSION = %r\n" % version)

local_tensorflow = repository_rule(
    implementation = _local_tensorflow,
    environ = ["PYTHON_BIN_PATH", "PATH"],
    local = True,
)
