"""Repositories whose rules an older Bazel has built in but would fetch from the network all the same."""

def built_in_rules():
    """For Debian's bazel-bootstrap, which gives no version: no network is needed. Others fetch what fits them."""
    if native.bazel_version in ("", "no_version"):
        native.local_repository(name = "rules_cc", path = "ops/bazel/rules_cc")
        native.local_repository(name = "rules_java", path = "ops/bazel/rules_java")
