include(CMakePackageConfigHelpers)

install(DIRECTORY include/tuff DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS tuff EXPORT tuff-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS tuff_static EXPORT tuff-static-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tuff_cli)
    install(TARGETS tuff_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What a program needs besides libtuff.a. Where these libraries lie is looked up where it is linked; those that come with a
# compiler it finds itself.
set(tuff_static_searched "")
set(tuff_static_plain "")
set(tuff_private_libraries "")
foreach(library ${tuff_link_libraries})
    if(library STREQUAL "Threads::Threads")
        string(APPEND tuff_private_libraries " ${CMAKE_THREAD_LIBS_INIT}")
        continue()
    endif()
    if(IS_ABSOLUTE ${library})
        get_filename_component(name ${library} NAME_WE)
        string(REGEX REPLACE "^lib" "" name ${name})
    else()
        set(name ${library})
    endif()
    string(APPEND tuff_private_libraries " -l${name}")
    if(name MATCHES "^(stdc\\+\\+|m|dl|gomp)$")
        list(APPEND tuff_static_plain ${name})
    else()
        list(APPEND tuff_static_searched ${name})
    endif()
endforeach()
list(JOIN tuff_static_searched " " tuff_static_searched)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tuff)
install(EXPORT tuff-targets NAMESPACE Tuff:: DESTINATION ${package_dir})
install(EXPORT tuff-static-targets NAMESPACE Tuff:: DESTINATION ${package_dir})
configure_package_config_file(cmake/tuff-config.cmake.in tuff-config.cmake INSTALL_DESTINATION ${package_dir}
                              PATH_VARS CMAKE_INSTALL_LIBDIR)
# Before 1.0 a new minor version may break: SameMinorVersion.
write_basic_package_version_file(tuff-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tuff-config.cmake ${PROJECT_BINARY_DIR}/tuff-config-version.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH tuff_pc_includedir ${CMAKE_INSTALL_FULL_LIBDIR} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/tuff.pc.in tuff.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tuff.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
