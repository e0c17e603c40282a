/* Filters: functions of a value and arguments, by filters.def. */
#ifndef TUFF_JINJA_FILTERS_H
#define TUFF_JINJA_FILTERS_H

#include "jinja/run.h"

typedef bool (*tuff_jinja_filter_fn)(tuff_jinja_run *run, const tuff_jinja_value *value,
                                     const tuff_jinja_args *args, tuff_jinja_value *out);
#define TUFF_JINJA_FILTER(name, function)                                                 \
    bool tuff_jinja_filter_##function(tuff_jinja_run *run, const tuff_jinja_value *value, \
                                      const tuff_jinja_args *args, tuff_jinja_value *out);
#include "jinja/filters.def"
#undef TUFF_JINJA_FILTER

/* A value as text: str(), but Markup stays what it is. */
bool tuff_jinja_soft_text(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_value *out);
/* "address.city" of an item; `otherwise` stands for what is undefined, where it is given. */
bool tuff_jinja_path(tuff_jinja_run *run, const tuff_jinja_value *item, const tuff_jinja_value *path,
                     const tuff_jinja_value *otherwise, tuff_jinja_value *out);
/* Lower case of texts, for orders that do not see it. */
bool tuff_jinja_fold(tuff_jinja_run *run, tuff_jinja_value *value);
/* Orders items by their keys; equal ones stay in their order, also in reverse. */
bool tuff_jinja_sort(tuff_jinja_run *run, const tuff_jinja_value *keys, tuff_jinja_value *items, size_t count,
                     bool reverse);
/* An iterator over a list. */
tuff_jinja_value tuff_jinja_iterator(tuff_jinja_list *list);

#endif
