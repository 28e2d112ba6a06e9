# Compiler settings and the libraries from outside, each as one imported or interface target:
#   nibble_flags   what every target of ours is compiled with
#   nibble_mlir    MLIR and LLVM (shared libraries), no exceptions
#   nibble_openmp  the OpenMP runtime that generated code calls (linked, not compiled with: -fopenmp would not
#                  go with the precompiled headers)
#   nibble_onnx    the ONNX C++ library; throws, so its one user is built with EXCEPTIONS

option(NIBBLE_PCH "Precompile the MLIR headers that most files include" ON)
set(NIBBLE_SANITIZE "" CACHE STRING "Sanitizers for our code, for instance address,undefined")
option(NIBBLE_FUZZ "Counters of coverage in our code, and the libFuzzer targets of test/Fuzz/targets" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# -O2: with -O3 the MLIR files compile slower and nothing gets faster; what is hot is code we generate ourselves.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

# --- ccache --------------------------------------------------------------------------------------
# The slack is what ccache needs to accept precompiled headers; -fno-pch-timestamp below belongs to it.
find_program(NIBBLE_CCACHE ccache)
if(NIBBLE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${NIBBLE_CCACHE})
endif()

# --- our flags -----------------------------------------------------------------------------------
# No -march: the libraries run on any x86-64, and generated code asks for the host's features itself.
# -ffp-contract=off: the compiler must not turn a*b+c into one rounding where numerics.md has two.
add_library(nibble_flags INTERFACE)
target_compile_options(nibble_flags INTERFACE
  -ffp-contract=off -Wall -Wextra -Wno-unused-parameter -ferror-limit=8)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(nibble_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()
target_include_directories(nibble_flags INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include)
if(NIBBLE_SANITIZE)
  target_compile_options(nibble_flags INTERFACE -fsanitize=${NIBBLE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(nibble_flags INTERFACE -fsanitize=${NIBBLE_SANITIZE})
endif()
if(NIBBLE_FUZZ)
  target_compile_options(nibble_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(nibble_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# --- LLVM and MLIR -------------------------------------------------------------------------------
# MLIR's package refuses a version in find_package, so the major version is checked by hand.
find_program(NIBBLE_LLVM_CONFIG NAMES llvm-config-22 llvm-config REQUIRED)
execute_process(COMMAND ${NIBBLE_LLVM_CONFIG} --prefix OUTPUT_VARIABLE NIBBLE_LLVM_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
find_package(MLIR REQUIRED CONFIG PATHS ${NIBBLE_LLVM_PREFIX}/lib/cmake/mlir NO_DEFAULT_PATH)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "Nibble needs LLVM/MLIR 22, found ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")
endif()
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${NIBBLE_LLVM_PREFIX}")
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddMLIR)
separate_arguments(NIBBLE_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# The shared libraries only: the static archives would pull libMLIR.so in beside themselves.
add_library(nibble_mlir INTERFACE)
target_link_libraries(nibble_mlir INTERFACE MLIR LLVM)
target_include_directories(nibble_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_compile_definitions(nibble_mlir INTERFACE ${NIBBLE_LLVM_DEFINITIONS})

# --- threads, GoogleTest, the ONNX library ----------------------------------------------------------
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
find_package(Protobuf REQUIRED)

find_library(NIBBLE_LIBOMP omp PATHS ${NIBBLE_LLVM_PREFIX}/lib NO_DEFAULT_PATH REQUIRED)
add_library(nibble_openmp INTERFACE)
target_link_libraries(nibble_openmp INTERFACE ${NIBBLE_LIBOMP} Threads::Threads)

set(NIBBLE_ONNX_SOURCE ${CMAKE_SOURCE_DIR}/build/third_party/onnx-1.23.2 CACHE PATH "Source of the ONNX library")
set(NIBBLE_ONNX_BUILD ${CMAKE_SOURCE_DIR}/build/third_party/onnx-build CACHE PATH "Its build tree, made by scripts/setup")
if(NOT EXISTS ${NIBBLE_ONNX_BUILD}/onnx/libonnx.a)
  message(FATAL_ERROR "The ONNX library is not built in ${NIBBLE_ONNX_BUILD}: run scripts/setup")
endif()
add_library(nibble_onnx STATIC IMPORTED GLOBAL)
set_target_properties(nibble_onnx PROPERTIES IMPORTED_LOCATION ${NIBBLE_ONNX_BUILD}/onnx/libonnx.a)
target_include_directories(nibble_onnx SYSTEM INTERFACE ${NIBBLE_ONNX_SOURCE} ${NIBBLE_ONNX_BUILD}/onnx)
target_compile_definitions(nibble_onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(nibble_onnx INTERFACE protobuf::libprotobuf)
