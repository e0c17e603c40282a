/* The floating-point environment in which the library computes: rounding to nearest, no traps, denormals
 * kept. The program's, which may be another, comes back behind it, also for its callbacks. */
#ifndef TUFF_BASE_FP_H
#define TUFF_BASE_FP_H

#include <fenv.h>

typedef struct tuff_fp {
    fenv_t program;
} tuff_fp;

static inline void tuff_fp_own(tuff_fp *fp)
{
    fegetenv(&fp->program);
    fesetenv(FE_DFL_ENV);
}

static inline void tuff_fp_give_back(const tuff_fp *fp)
{
    fesetenv(&fp->program);
}

#endif
