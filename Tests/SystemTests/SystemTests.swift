import Glibc
import Testing

// Theory of operation. Every test makes a network namespace, starts martletd in it, has `martlet` make sandboxes, and lets
// real programs talk through the switch. The suites run one after the other: each alone keeps both cores of a small machine
// busy, and some judge by the time a thing takes. What a test makes has names that no other run has, so that two runs can
// go on side by side, and is taken away however the test ends (`Testbed`). See docs/testing.md.

/// Everything that needs namespaces and real programs.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root, for network namespaces and TAPs"))
enum SystemTests {}
