# Hardened flags for every build; sanitizers replace _FORTIFY_SOURCE, which they cannot see through.
add_library(moongate_hardening INTERFACE)
target_compile_options(moongate_hardening INTERFACE
  -fstack-protector-strong -fno-strict-aliasing -fno-omit-frame-pointer)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(moongate_hardening INTERFACE -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    target_compile_options(moongate_hardening INTERFACE -fcf-protection=full)
  endif()
endif()
target_link_options(moongate_hardening INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
if(MOONGATE_SANITIZE)
  target_compile_options(moongate_hardening INTERFACE
    -fsanitize=${MOONGATE_SANITIZE} -fno-sanitize-recover=all -O1)
  target_link_options(moongate_hardening INTERFACE -fsanitize=${MOONGATE_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(moongate_hardening INTERFACE _FORTIFY_SOURCE=2)
endif()
set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
