/* "%s of %d" % values, and "{} of {name}".format(values). */
#ifndef TUFF_JINJA_FORMAT_H
#define TUFF_JINJA_FORMAT_H

#include "jinja/run.h"

bool tuff_jinja_percent(tuff_jinja_run *run, const tuff_jinja_value *format, const tuff_jinja_value *values,
                        tuff_jinja_value *out);
bool tuff_jinja_format(tuff_jinja_run *run, const tuff_jinja_value *format, const tuff_jinja_args *args,
                       tuff_jinja_value *out);

#endif
