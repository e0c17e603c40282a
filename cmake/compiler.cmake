# Flags. Numbers are the same from machine to machine of one instruction set: no -ffast-math, no -march=native; kernels
# that want wider vectors ask for them by function multiversioning.
set(tuff_warnings -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla)
if(TUFF_WERROR)
    list(APPEND tuff_warnings -Werror)
endif()
set(tuff_c_flags -fno-semantic-interposition -ffp-contract=off -fno-math-errno)
# In CPU kernels a * b + c may be one instruction, no code looks at floating-point exceptions, and `omp simd` counts
# also in a build without OpenMP.
set(tuff_kernel_flags -ffp-contract=fast -fno-trapping-math -fopenmp-simd)
if(use_openmp)
    list(APPEND tuff_kernel_flags ${OpenMP_C_FLAGS})
endif()
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

# Multiversioned functions are resolved before the sanitizers' run time is up.
if(TUFF_SANITIZE STREQUAL "address")
    set(tuff_sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(TUFF_SANITIZE STREQUAL "thread")
    set(tuff_sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(TUFF_SANITIZE)
    message(FATAL_ERROR "TUFF_SANITIZE must be empty, address or thread; found ${TUFF_SANITIZE}")
endif()
if(TUFF_SANITIZE)
    add_compile_options(${tuff_sanitize})
    add_link_options(${tuff_sanitize})
    list(APPEND tuff_definitions TUFF_NO_MULTIVERSION=1)
endif()
