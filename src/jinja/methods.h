/* Methods: functions of a value and arguments. */
#ifndef TUFF_JINJA_METHODS_H
#define TUFF_JINJA_METHODS_H

#include "jinja/run.h"

typedef bool (*tuff_jinja_method_fn)(tuff_jinja_run *run, const tuff_jinja_value *self,
                                     const tuff_jinja_args *args, tuff_jinja_value *out);

/* The number of a method of texts, or TUFF_JINJA_NO_METHOD (methods_text.c). */
enum { TUFF_JINJA_NO_METHOD = 1000 };
size_t tuff_jinja_text_method(tuff_view name);
bool tuff_jinja_call_text_method(tuff_jinja_run *run, size_t method, const tuff_jinja_value *self,
                                 const tuff_jinja_args *args, tuff_jinja_value *out);

#endif
