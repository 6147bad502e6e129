# Build types and compiler flags.  Every target of the project links mm_flags.
#
# Release, RelWithDebInfo, Debug: the options of the OpenSSF Compiler Hardening Guide for C;
#     Debug without FORTIFY_SOURCE, which needs the optimiser.
# AddressSanitizer (with UBSan), ThreadSanitizer: the sanitizer in their place.
#
# Options that only some compilers or processors know are tried first.

include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
set_property(CACHE CMAKE_BUILD_TYPE PROPERTY STRINGS
             Release RelWithDebInfo Debug AddressSanitizer ThreadSanitizer)

option(MAILMOUNT_WERROR "warnings are errors" OFF)

check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# mm_supported(RESULT CHECK FLAG...): those of the flags that pass the check, as a list.
function(mm_supported result check)
  set(known "")
  foreach(flag ${ARGN})
    string(MAKE_C_IDENTIFIER "have${flag}" variable)
    if(check STREQUAL LINKER)
      check_linker_flag(C ${flag} ${variable})
    else()
      set(CMAKE_REQUIRED_FLAGS -Werror)
      check_c_compiler_flag(${flag} ${variable})
    endif()
    if(${variable})
      list(APPEND known ${flag})
    endif()
  endforeach()
  set(${result} ${known} PARENT_SCOPE)
endfunction()

# Not maybe-uninitialized: "outputs untouched on failure" is our rule, and GCC, which does not know
# that an error is negative, guesses wrong, each version elsewhere.
mm_supported(warnings COMPILER -Wtrampolines -Wbidi-chars=any -Wlogical-op -Wduplicated-cond
  -Wno-maybe-uninitialized)
mm_supported(hardening COMPILER
  -fstack-protector-strong -fstack-clash-protection
  -fcf-protection=full -mbranch-protection=standard
  -ftrivial-auto-var-init=zero -fstrict-flex-arrays=3 -fzero-init-padding-bits=all)
mm_supported(linking LINKER
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen
  -Wl,--as-needed -Wl,--no-copy-dt-needed-entries)

set(asan -fsanitize=address,undefined -fno-sanitize-recover=undefined)
set(tsan -fsanitize=thread)
set(sanitized $<CONFIG:AddressSanitizer,ThreadSanitizer>)

add_library(mm_flags INTERFACE)
# uthash: the hash function whose macro clang does not take for a careless switch.
target_compile_definitions(mm_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
  HASH_FUNCTION=HASH_FNV)
target_compile_options(mm_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wconversion -Wno-sign-conversion -Wshadow -Wvla
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
  -Wimplicit-fallthrough -Wwrite-strings -Wundef ${warnings}
  -Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types
  -Werror=int-conversion
  $<$<BOOL:${MAILMOUNT_WERROR}>:-Werror>
  -fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks
  $<$<NOT:${sanitized}>:${hardening}>
  $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
  $<${sanitized}:-g -O1 -fno-omit-frame-pointer>
  $<$<CONFIG:AddressSanitizer>:${asan}>
  $<$<CONFIG:ThreadSanitizer>:${tsan}>)
target_link_options(mm_flags INTERFACE
  ${linking}
  $<$<CONFIG:AddressSanitizer>:${asan}>
  $<$<CONFIG:ThreadSanitizer>:${tsan}>)
target_link_libraries(mm_flags INTERFACE pthread)
