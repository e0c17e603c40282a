/* What drivers' statistics count, by their names (figures.def). */
#ifndef TUFF_RUNTIME_FIGURES_H
#define TUFF_RUNTIME_FIGURES_H

#include <tuff/kernels.h>

/* Sets `figure` and `amount` of all statistics of a kernel that is being made. */
void tuff_figures_assign(tuff_kernel *kernel);

#endif
