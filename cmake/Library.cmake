# libmoongate: every floor and the embedded Lua behind core/include/moongate.h, shared and static; what `cmake --install` puts where.
#
# Nothing but the functions marked MOON_API is visible. In the shared library a version script sees to that. The static one is a
# single object in which everything else has been made local, so that two libraries in one program (or a program's own llhttp)
# do not meet there either.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(MOONGATE_SO_VERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}") # before 1.0 a minor version may break the interface
set(MOONGATE_PUBLIC_HEADER "${CMAKE_CURRENT_SOURCE_DIR}/core/include/moongate.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${MOONGATE_PUBLIC_HEADER}")

add_library(moongate_library OBJECT core/app/content.c core/app/library.c core/app/request_view.c core/app/settings.c)
target_include_directories(moongate_library PRIVATE
  "${CMAKE_CURRENT_SOURCE_DIR}/core" "${CMAKE_CURRENT_SOURCE_DIR}/core/include")
target_compile_definitions(moongate_library PRIVATE _GNU_SOURCE MOONGATE_VERSION="${PROJECT_VERSION}")
target_link_libraries(moongate_library PRIVATE moongate_warnings moongate_hardening moongate_script_links)

# The names of the functions marked MOON_API, one declaration a line.
file(STRINGS "${MOONGATE_PUBLIC_HEADER}" declarations REGEX "^MOON_API ")
set(MOONGATE_EXPORTS "")
foreach(declaration IN LISTS declarations)
  string(REGEX MATCH "moon_gate_[a-z_]+\\(" name "${declaration}")
  string(REPLACE "(" "" name "${name}")
  list(APPEND MOONGATE_EXPORTS "${name}")
endforeach()
list(JOIN MOONGATE_EXPORTS "\n" names)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/moongate.exports" CONTENT "${names}\n_Z*\n" @ONLY)
list(JOIN MOONGATE_EXPORTS "; " names)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/moongate.map"
  CONTENT "MOONGATE_${MOONGATE_SO_VERSION} { global: ${names}; local: *; };\n" @ONLY)

# ---- shared ----

add_library(moongate SHARED $<TARGET_OBJECTS:moongate_library>)
add_library(moongate::moongate ALIAS moongate)
target_link_libraries(moongate PRIVATE
  $<BUILD_INTERFACE:moongate_script_floor> $<BUILD_INTERFACE:moongate_lua>)
target_include_directories(moongate INTERFACE
  "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/core/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_link_options(moongate PRIVATE "LINKER:--version-script=${CMAKE_CURRENT_BINARY_DIR}/moongate.map")
set_target_properties(moongate PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${MOONGATE_SO_VERSION}
  LINK_DEPENDS "${CMAKE_CURRENT_BINARY_DIR}/moongate.map" EXPORT_NAME moongate)

# ---- static ----

set(objects $<TARGET_OBJECTS:moongate_library> $<TARGET_OBJECTS:moongate_lua_objects>)
foreach(floor base net tls http gate script)
  list(APPEND objects $<TARGET_OBJECTS:moongate_${floor}>)
endforeach()
set(bundled "")
if(NOT LLHTTP_FOUND)
  set(bundled -Wl,--whole-archive $<TARGET_FILE:llhttp> -Wl,--no-whole-archive)
endif()
# Templates of the C++ library stay as they are (_Z*): every program has its own copies of those, and the linker takes one.
set(MOONGATE_ARCHIVE "${CMAKE_CURRENT_BINARY_DIR}/libmoongate.a")
add_custom_command(OUTPUT ${MOONGATE_ARCHIVE}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o moongate_all.o ${objects} ${bundled}
  COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbols=moongate.exports moongate_all.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${MOONGATE_ARCHIVE}
  COMMAND ${CMAKE_AR} rcs ${MOONGATE_ARCHIVE} moongate_all.o
  DEPENDS ${objects} "${CMAKE_CURRENT_BINARY_DIR}/moongate.exports" llhttp
  WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}"
  COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(moongate_archive ALL DEPENDS ${MOONGATE_ARCHIVE})

# ---- installed ----

list(JOIN MOONGATE_REQUIRES ", " MOONGATE_PC_REQUIRES)
string(REGEX REPLACE "([<>=]+)" " \\1 " MOONGATE_PC_REQUIRES "${MOONGATE_PC_REQUIRES}")
file(RELATIVE_PATH MOONGATE_PC_PREFIX
  "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
configure_file(cmake/moongate.pc.in moongate.pc @ONLY)
configure_file(cmake/moongate-static.pc.in moongate-static.pc @ONLY)
configure_package_config_file(cmake/moongateConfig.cmake.in moongateConfig.cmake
  INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/moongate" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(moongateConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(DIRECTORY core/include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT library)
install(TARGETS moongate EXPORT moongateTargets
  LIBRARY COMPONENT library DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${MOONGATE_ARCHIVE}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/moongate.pc" "${CMAKE_CURRENT_BINARY_DIR}/moongate-static.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT library)
install(EXPORT moongateTargets NAMESPACE moongate::
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/moongate" COMPONENT library)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/moongateConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/moongateConfigVersion.cmake"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/moongate" COMPONENT library)
