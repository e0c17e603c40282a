# The linker's list of what libtuff.so exports: every function that a public header declares with TUFF_API. Visibility
# attributes alone do not do: gcc exports the dispatchers of multiversioned functions. The symbols carry the version of the
# binary interface, which until 1.0 is the minor version.
file(GLOB headers CONFIGURE_DEPENDS include/tuff/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${headers})
set(names "")
foreach(header ${headers})
    file(READ ${header} text)
    string(REPLACE ";" "|" text "${text}")
    string(REGEX MATCHALL "TUFF_API [^|(]*[ *]tuff_[a-z0-9_]+\\(" declarations "${text}")
    foreach(declaration ${declarations})
        string(REGEX MATCH "tuff_[a-z0-9_]+\\($" name "${declaration}")
        string(REPLACE "(" "" name "${name}")
        list(APPEND names ${name})
    endforeach()
endforeach()
list(JOIN names "; " names)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/exports.map CONTENT "TUFF_@PROJECT_VERSION_MAJOR@.@PROJECT_VERSION_MINOR@ { global: @names@; local: *; };\n" @ONLY)

target_link_options(tuff PRIVATE -Wl,--version-script=${PROJECT_BINARY_DIR}/exports.map)
set_property(TARGET tuff APPEND PROPERTY LINK_DEPENDS ${PROJECT_BINARY_DIR}/exports.map)
