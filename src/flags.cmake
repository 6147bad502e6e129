# Build types and compiler flags.  Every target of the project links mm_flags.
#
# Release, Debug, RelWithDebInfo: the hardening options of the OpenSSF guide.
# AddressSanitizer (with UBSan), ThreadSanitizer: the sanitizer instead of FORTIFY_SOURCE.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()

option(MAILMOUNT_WERROR "warnings are errors" OFF)

add_library(mm_flags INTERFACE)
target_compile_definitions(mm_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(mm_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wconversion -Wno-sign-conversion -Wshadow -Wvla
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
  -Wimplicit-fallthrough -Wwrite-strings -Wundef
  -fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks
  $<$<BOOL:${MAILMOUNT_WERROR}>:-Werror>)

set(sanitized $<CONFIG:AddressSanitizer,ThreadSanitizer>)
target_compile_options(mm_flags INTERFACE
  $<$<NOT:${sanitized}>:-fstack-protector-strong -fstack-clash-protection -fcf-protection=full>
  $<$<NOT:${sanitized}>:-ftrivial-auto-var-init=pattern>
  $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
  $<$<CONFIG:AddressSanitizer>:-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined>
  $<$<CONFIG:ThreadSanitizer>:-g -O1 -fno-omit-frame-pointer -fsanitize=thread>)
target_link_options(mm_flags INTERFACE
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed
  $<$<NOT:${sanitized}>:-pie>
  $<$<CONFIG:AddressSanitizer>:-fsanitize=address,undefined>
  $<$<CONFIG:ThreadSanitizer>:-fsanitize=thread>)
target_link_libraries(mm_flags INTERFACE pthread)
