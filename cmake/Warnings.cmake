# Warnings are errors in our own sources; third-party sources (llhttp) are compiled without them.
add_library(moongate_warnings INTERFACE)
target_compile_options(moongate_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>)
