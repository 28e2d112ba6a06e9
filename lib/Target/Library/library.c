/*===- library.c - the runtime of libraries as one translation unit ---------------===*/
#include "runtime.c"
#include "state.c"
