# What we build upon. llhttp: a system library of at least 9.2.1 when pkg-config knows one, else the C sources that
# Debian's node-llhttp installs, compiled strict (8.1.0 is loose by default). Our own guard stands in front in any case.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)

# A library of the system: the target PkgConfig::NAME, and a line in what a program needs that links ours statically.
set(MOONGATE_REQUIRES openssl>=3.0)
macro(moongate_needs name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  list(APPEND MOONGATE_REQUIRES ${module})
endmacro()

moongate_needs(LIBUV libuv>=1.42)
moongate_needs(LIBCURL libcurl>=7.87)
moongate_needs(MAXMINDDB libmaxminddb)
moongate_needs(RE2 re2)
moongate_needs(LUAJIT luajit>=2.1)
find_program(LUAJIT_PROGRAM luajit REQUIRED)

pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp>=9.2.1)
if(LLHTTP_FOUND)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE PkgConfig::LLHTTP)
  list(APPEND MOONGATE_REQUIRES libllhttp>=9.2.1)
else()
  find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH REQUIRED)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp /usr/include/llhttp REQUIRED)
  add_library(llhttp STATIC
    ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c ${LLHTTP_SOURCE_DIR}/llhttp.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
  target_compile_options(llhttp PRIVATE -w -O2)
endif()
