/* Settings that a user gives in one text, for a schedule or an optimizer: `{"num_cycles": 2}` or
 * `num_cycles=2, decay_type=linear`, named as in transformers. */
#ifndef TUFF_TRAIN_KWARGS_H
#define TUFF_TRAIN_KWARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

/* One that may be given. */
typedef struct tuff_setting {
    const char *name;
    double low, high;  /* of a number */
    const char *words; /* "linear|cosine": the value is the number of one of them; NULL: it is a number */
    bool whole;        /* a number without a fraction */
    double preset;     /* NAN: what it is for knows */
} tuff_setting;
#define TUFF_SETTING_FLAG "false|true"

/* Sets values[i] of each of n settings, to what the text says or to what is preset; `text` may be NULL.
 * `what` names the text in errors ("lr_scheduler_kwargs"), `of` what it is for ("the schedule cosine"):
 * TUFF_INVALID_ARGUMENT for a setting that is not among them, naming those, one that is given twice or a
 * value that it cannot have. */
TUFF_MUST_USE tuff_status tuff_settings_read(const char *text, const char *what, const char *of,
                                             const tuff_setting *settings, size_t n, double *values);
/* The same settings as a text: those that have a value. */
void tuff_settings_put(const tuff_setting *settings, size_t n, const double *values, tuff_buf *out);

#endif
