/* THE list of case tables. */
#include <stddef.h>

#include "conform/case.h"

const tuff_case_family *const tuff_case_families[] = {
    NULL,
};
