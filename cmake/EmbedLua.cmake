# moongate_embed_lua(target): every Lua file of lua/, rules/, admin/ and cli/ as an object library with one table
# name → source (core/script/embedded.h), plus the module moongate.cdef: the regions of the C headers
# between "ffi: begin" and "ffi: end", which LuaJIT reads too, and the table of the functions in them.
function(moongate_embed_lua target)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS
    "${CMAKE_CURRENT_SOURCE_DIR}/lua/*.lua" "${CMAKE_CURRENT_SOURCE_DIR}/rules/*.lua"
    "${CMAKE_CURRENT_SOURCE_DIR}/admin/*.lua" "${CMAKE_CURRENT_SOURCE_DIR}/cli/*.lua")
  file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/core/*/*.h" "${CMAKE_CURRENT_SOURCE_DIR}/core/include/moongate/*.h")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/embedded_lua.c")
  add_custom_command(OUTPUT ${output}
    COMMAND ${LUAJIT_PROGRAM} "${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_lua.lua" "${CMAKE_CURRENT_SOURCE_DIR}" ${output}
    DEPENDS ${sources} ${headers} "${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_lua.lua"
      "${CMAKE_CURRENT_SOURCE_DIR}/cmake/ffi_regions.lua"
    VERBATIM)
  add_library(${target}_objects OBJECT ${output})
  target_include_directories(${target}_objects PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/core")
  target_link_libraries(${target}_objects PRIVATE moongate_hardening moongate_script_links)
  add_library(${target} INTERFACE)
  target_sources(${target} INTERFACE $<TARGET_OBJECTS:${target}_objects>)
endfunction()
