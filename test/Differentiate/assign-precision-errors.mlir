// What is wrong with the recipe is said with what is accepted; a module without @forward is refused.
// RUN: not nibble-opt %s --assign-precision=recipe=fp8 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not nibble-opt %s --assign-precision=recipe=ibm,gain=maybe 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not nibble-opt %s --assign-precision=recipe=ibm,keep-float=a(b 2>&1 | FileCheck %s --check-prefix=REGEX
// RUN: not nibble-opt %s --assign-precision 2>&1 | FileCheck %s --check-prefix=FORWARD

// NAME: error: no recipe 'fp8': f32, w4a4, ibm, ibm+, luq or int4 expected
// VALUE: error: --gain: true or false expected, found 'maybe'
// REGEX: error: --keep-float: 'a(b' is not a regular expression: parentheses not balanced
// FORWARD: error: room Differentiate: there is no function @forward
module {}
