/* Which cases a run is about. */
#ifndef TUFF_CONFORM_SELECT_H
#define TUFF_CONFORM_SELECT_H

#include <tuff/conform.h>

#include "conform/case.h"
#include "conform/ledger.h"

typedef struct tuff_selection {
    const tuff_case_family **family; /* of each case */
    const tuff_case **cases;
    size_t n;
} tuff_selection;

/* Fails when a name matches nothing. Free with tuff_selection_free, also after a failure. */
TUFF_MUST_USE tuff_status tuff_select_cases(const tuff_conform_params *params, tuff_selection *out);
void tuff_selection_free(tuff_selection *selection);

/* Whether a run was asked for a case that another version may have had, as far as its name tells: one that is
 * no longer there may have been of any operation. */
bool tuff_was_asked_for(const tuff_asked *asked, tuff_conform_level level, const char *name);

#endif
