# The few functions that Nibble's CMakeLists.txt files are written with. One library per folder, sources
# named, direct dependencies only.
#
# A library (lib/Import/CMakeLists.txt):
#   nibble_add_library(NibbleImport
#     SOURCES Importer.cpp Shapes.cpp
#     DEPENDS NibbleImportPassesIncGen      # generated headers of its own; those of LINK come along
#     LINK NibbleNNIR NibbleInterfaces)
#   EXCEPTIONS   built with exceptions (the library that touches ONNX, Runtime's readers)
#   NO_MLIR      sees no MLIR or LLVM header and links neither (Numerics, Runtime)
#   With no SOURCES it is a header-only (interface) library: nibble_add_library(NibbleNumerics NO_MLIR)
#
# A dialect (include/nibble/Dialect/NN/IR/CMakeLists.txt):
#   nibble_add_dialect(NN nn)               # folder prefix, then the name in the IR
#   Makes target NibbleNNIncGen. Of the files NNDialect.td, NNOps.td, NNTypes.td, NNAttrs.td, NNEnums.td and
#   NNInterfaces.td it takes those that are there (the dialect's own declaration is read from NNDialect.td,
#   or else from NNOps.td), and generates beside them in the build tree, to be included as
#   "nibble/Dialect/NN/IR/NNDialect.h.inc", "…/NNOps.h.inc", "…/NNTypes.h.inc" and so on, each with its .cpp.inc.
#   NNOps.td includes the family files (NNElementwise.td, …); only ops, types and attributes of dialect `nn` are generated.
#   Enums are generated for everything that NNEnums.td includes: let it include no other enum file.
#
# Passes (include/nibble/Import/CMakeLists.txt):
#   nibble_add_passes(Import)               # Passes.td -> "nibble/Import/Passes.h.inc", target NibbleImportPassesIncGen
#   nibble_add_passes(CodegenCPU)           # in include/nibble/Codegen/CPU; -gen-pass-decls -name=CodegenCPU
#
# Interfaces (include/nibble/Interfaces/CMakeLists.txt):
#   nibble_add_interface(Differentiable)    # Differentiable.td -> .h.inc and .cpp.inc (an op interface), target NibbleDifferentiableIncGen
#   nibble_add_interface(ScaledType TYPE)   # TYPE or ATTR for the other two kinds
#   Every interface also belongs to the collective target NibbleInterfacesIncGen.
#
# Unit tests (test/Unit/Numerics/CMakeLists.txt): the name must end in Tests; check-nibble runs it
#   nibble_add_unittest(NumericsTests SOURCES Int4Test.cpp LINK NibbleNumerics [NO_MLIR] [EXCEPTIONS])
#
# Tools (tools/nibble-opt/CMakeLists.txt): ends up in build/<preset>/bin
#   nibble_add_tool(nibble-opt SOURCES nibble-opt.cpp LINK NibbleDriver [NO_MLIR] [EXCEPTIONS])

# --- precompiled headers: made once, used by every MLIR target without exceptions -----------------------
if(NIBBLE_PCH)
  add_library(nibble_pch OBJECT ${CMAKE_CURRENT_LIST_DIR}/pch/Pch.cpp)
  target_link_libraries(nibble_pch PRIVATE nibble_flags nibble_mlir)
  target_compile_options(nibble_pch PRIVATE -fno-exceptions)
  target_precompile_headers(nibble_pch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/Pch.h)
endif()

# Language options and MLIR of one target that has sources.
function(nibble_compile_options target exceptions no_mlir)
  target_link_libraries(${target} PRIVATE nibble_flags)
  if(NOT exceptions)
    target_compile_options(${target} PRIVATE -fno-exceptions)
  endif()
  if(NOT no_mlir)
    target_link_libraries(${target} PRIVATE nibble_mlir)
    # CMake compiles executables with -fPIE; precompiled headers need the one mode, and the later option wins.
    target_compile_options(${target} PRIVATE -fPIC)
    if(NIBBLE_PCH AND NOT exceptions)
      target_precompile_headers(${target} REUSE_FROM nibble_pch)
    endif()
  endif()
endfunction()

function(nibble_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "EXCEPTIONS;NO_MLIR" "" "SOURCES;DEPENDS;LINK")
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "nibble_add_library(${name}): do not know ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_SOURCES)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE nibble_flags ${ARG_LINK})
    if(ARG_DEPENDS)
      add_dependencies(${name} ${ARG_DEPENDS})
    endif()
    return()
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  nibble_compile_options(${name} "${ARG_EXCEPTIONS}" "${ARG_NO_MLIR}")
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

function(nibble_add_tool name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "EXCEPTIONS;NO_MLIR" "" "SOURCES;DEPENDS;LINK")
  add_executable(${name} ${ARG_SOURCES})
  nibble_compile_options(${name} "${ARG_EXCEPTIONS}" "${ARG_NO_MLIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  set_property(GLOBAL APPEND PROPERTY NIBBLE_TOOLS ${name})
endfunction()

function(nibble_add_unittest name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "EXCEPTIONS;NO_MLIR" "" "SOURCES;DEPENDS;LINK")
  if(NOT name MATCHES "Tests$")
    message(FATAL_ERROR "nibble_add_unittest(${name}): the name must end in Tests, lit looks for that")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  nibble_compile_options(${name} "${ARG_EXCEPTIONS}" "${ARG_NO_MLIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main GTest::gtest)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  set_property(GLOBAL APPEND PROPERTY NIBBLE_UNITTESTS ${name})
endfunction()

# --- TableGen ------------------------------------------------------------------------------------------
# nibble_tablegen(OUT_VAR TD OUTPUT GENERATOR...): one run of mlir-tblgen into the current build folder.
function(nibble_tablegen outputs td output)
  set(LLVM_TARGET_DEFINITIONS ${td})
  tablegen(MLIR ${output} ${ARGN}
    EXTRA_INCLUDES ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include ${MLIR_INCLUDE_DIRS})
  set(${outputs} ${${outputs}} ${CMAKE_CURRENT_BINARY_DIR}/${output} PARENT_SCOPE)
endfunction()

function(nibble_add_dialect prefix dialect)
  set(here ${CMAKE_CURRENT_SOURCE_DIR})
  if(EXISTS ${here}/${prefix}Dialect.td)
    set(dialect_td ${prefix}Dialect.td)
  else()
    set(dialect_td ${prefix}Ops.td)
  endif()
  nibble_tablegen(out ${dialect_td} ${prefix}Dialect.h.inc -gen-dialect-decls -dialect=${dialect})
  nibble_tablegen(out ${dialect_td} ${prefix}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect})
  if(EXISTS ${here}/${prefix}Ops.td)
    nibble_tablegen(out ${prefix}Ops.td ${prefix}Ops.h.inc -gen-op-decls "--op-include-regex=^${dialect}[.]")
    nibble_tablegen(out ${prefix}Ops.td ${prefix}Ops.cpp.inc -gen-op-defs "--op-include-regex=^${dialect}[.]")
  endif()
  if(EXISTS ${here}/${prefix}Types.td)
    nibble_tablegen(out ${prefix}Types.td ${prefix}Types.h.inc -gen-typedef-decls -typedefs-dialect=${dialect})
    nibble_tablegen(out ${prefix}Types.td ${prefix}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${dialect})
  endif()
  if(EXISTS ${here}/${prefix}Attrs.td)
    nibble_tablegen(out ${prefix}Attrs.td ${prefix}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${dialect})
    nibble_tablegen(out ${prefix}Attrs.td ${prefix}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${dialect})
  endif()
  if(EXISTS ${here}/${prefix}Enums.td)
    nibble_tablegen(out ${prefix}Enums.td ${prefix}Enums.h.inc -gen-enum-decls)
    nibble_tablegen(out ${prefix}Enums.td ${prefix}Enums.cpp.inc -gen-enum-defs)
  endif()
  if(EXISTS ${here}/${prefix}Interfaces.td)
    nibble_tablegen(out ${prefix}Interfaces.td ${prefix}Interfaces.h.inc -gen-op-interface-decls)
    nibble_tablegen(out ${prefix}Interfaces.td ${prefix}Interfaces.cpp.inc -gen-op-interface-defs)
  endif()
  add_custom_target(Nibble${prefix}IncGen DEPENDS ${out})
  # The reference page; built by the target nibble-doc.
  if(EXISTS ${here}/${prefix}Ops.td)
    nibble_tablegen(doc ${prefix}Ops.td ${prefix}Dialect.md -gen-dialect-doc -dialect=${dialect})
    nibble_add_doc(${prefix}Doc ${doc})
  endif()
endfunction()

function(nibble_add_passes name)
  nibble_tablegen(out Passes.td Passes.h.inc -gen-pass-decls -name=${name})
  add_custom_target(Nibble${name}PassesIncGen DEPENDS ${out})
  nibble_tablegen(doc Passes.td ${name}Passes.md -gen-pass-doc)
  nibble_add_doc(${name}PassesDoc ${doc})
endfunction()

function(nibble_add_interface name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "TYPE;ATTR" "" "")
  set(kind op)
  if(ARG_TYPE)
    set(kind type)
  elseif(ARG_ATTR)
    set(kind attr)
  endif()
  nibble_tablegen(out ${name}.td ${name}.h.inc -gen-${kind}-interface-decls)
  nibble_tablegen(out ${name}.td ${name}.cpp.inc -gen-${kind}-interface-defs)
  add_custom_target(Nibble${name}IncGen DEPENDS ${out})
  if(NOT TARGET NibbleInterfacesIncGen)
    add_custom_target(NibbleInterfacesIncGen)
  endif()
  add_dependencies(NibbleInterfacesIncGen Nibble${name}IncGen)
endfunction()

# Generated reference pages (build/<preset>/include/nibble/.../*.md); not part of `all`.
function(nibble_add_doc name)
  add_custom_target(${name} DEPENDS ${ARGN})
  if(NOT TARGET nibble-doc)
    add_custom_target(nibble-doc)
  endif()
  add_dependencies(nibble-doc ${name})
endfunction()

# add_subdirectory of each.
function(nibble_add_folders)
  foreach(folder IN LISTS ARGN)
    add_subdirectory(${folder})
  endforeach()
endfunction()
